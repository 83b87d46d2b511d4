-- The pre-flight check of the Exchange connector: looks, and changes nothing.
-- Run it in the Dime.Scheduler database as a member of db_owner. One row per finding:
-- fault: the installation would fail or harm; warning: read docs/sqlserver.md first; info: good to know.

SET NOCOUNT ON;
SET ANSI_NULLS, QUOTED_IDENTIFIER ON;

DECLARE @findings TABLE (
    Verdict varchar(7) NOT NULL,
    Subject nvarchar(300) NOT NULL,
    Finding nvarchar(1000) NOT NULL
);
DECLARE @expected TABLE (
    TableName sysname NOT NULL,
    ColumnName sysname NOT NULL,
    Kind varchar(6) NOT NULL
);
INSERT INTO @expected (TableName, ColumnName, Kind)
VALUES
    (N'Appointments', N'Id', N'id'),
    (N'Appointments', N'AppointmentGuid', N'guid'),
    (N'Appointments', N'Subject', N'text'),
    (N'Appointments', N'Body', N'text'),
    (N'Appointments', N'StartDate', N'time'),
    (N'Appointments', N'EndDate', N'time'),
    (N'Appointments', N'IsAllDayEvent', N'flag'),
    (N'Appointments', N'Importance', N'number'),
    (N'Appointments', N'Locked', N'flag'),
    (N'Appointments', N'ShowAs', N'number'),
    (N'Appointments', N'Sensitivity', N'number'),
    (N'Appointments', N'ExchangeId', N'text'),
    (N'Appointments', N'ICalUId', N'text'),
    (N'AppointmentResources', N'AppointmentId', N'id'),
    (N'AppointmentResources', N'ResourceId', N'id'),
    (N'Resources', N'Id', N'id'),
    (N'Resources', N'ResourceNo', N'text'),
    (N'Resources', N'DisplayName', N'text'),
    (N'Resources', N'Email', N'text'),
    (N'Resources', N'ExchangeIntegrationEnabled', N'flag'),
    (N'Categories', N'Id', N'id'),
    (N'Categories', N'Name', N'text'),
    (N'Appointments', N'CategoryId', N'id'),
    (N'TimeMarkers', N'Id', N'id'),
    (N'TimeMarkers', N'Name', N'text'),
    (N'Appointments', N'TimeMarkerId', N'id'),
    (N'Tasks', N'Id', N'id'),
    (N'Appointments', N'TaskId', N'id'),
    (N'Jobs', N'Id', N'id'),
    (N'Jobs', N'SiteAddress', N'text'),
    (N'Tasks', N'JobId', N'id');

DECLARE @tables TABLE (TableName sysname NOT NULL, ObjectId int NULL);
INSERT INTO @tables (TableName, ObjectId)
SELECT DISTINCT e.TableName, OBJECT_ID(QUOTENAME(N'dbo') + N'.' + QUOTENAME(e.TableName))
FROM @expected AS e;

-- The server and the database.
INSERT INTO @findings (Verdict, Subject, Finding)
VALUES (
    'info',
    N'server',
    CONCAT(
        CONVERT(nvarchar(60), SERVERPROPERTY(N'ProductVersion')), N', ',
        CONVERT(nvarchar(60), SERVERPROPERTY(N'Edition')), N', collation ',
        CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), N'Collation'))
    )
);

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', N'server', N'SQL Server 2016 or newer is needed (FOR JSON, SESSION_CONTEXT).'
WHERE CAST(SERVERPROPERTY(N'EngineEdition') AS int) NOT IN (5, 8)
    AND CAST(PARSENAME(CONVERT(nvarchar(60), SERVERPROPERTY(N'ProductVersion')), 4) AS int) < 13;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT
    'fault',
    N'compatibility level',
    CONCAT(d.compatibility_level, N': the reader needs 130 (SQL Server 2016) or more, for OPENJSON.')
FROM sys.databases AS d
WHERE d.database_id = DB_ID() AND d.compatibility_level < 130;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT
    'info',
    N'READ_COMMITTED_SNAPSHOT',
    N'OFF: the reader and the planners wait for each other''s row locks, for milliseconds. ON is kinder to both, but is the choice of whoever runs Dime.Scheduler.'
FROM sys.databases AS d
WHERE d.database_id = DB_ID() AND d.is_read_committed_snapshot_on = 0;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', N'database', N'It is read-only.'
FROM sys.databases AS d
WHERE d.database_id = DB_ID() AND d.is_read_only = 1;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'warning', N'nested triggers', N'Switched off on this server: what a trigger of Dime.Scheduler changes is not noted, and only found by a backfill.'
FROM sys.configurations AS c
WHERE c.name = N'nested triggers' AND CAST(c.value_in_use AS int) = 0;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'info', N'replication', N'This database publishes or merges: keep exconn out of the articles, and do not copy the triggers to subscribers.'
FROM sys.databases AS d
WHERE d.database_id = DB_ID() AND (d.is_published = 1 OR d.is_merge_published = 1 OR d.is_subscribed = 1);

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'info', N'change tracking', N'It is on: the tables of exconn need none of it.'
FROM sys.change_tracking_databases AS t
WHERE t.database_id = DB_ID();

-- Ownership: the triggers reach exconn only where both belong to dbo.
INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', N'schema dbo', N'It does not exist or does not belong to dbo: planners would be refused by exconn.'
WHERE NOT EXISTS (
    SELECT 1 FROM sys.schemas AS s
    WHERE s.name = N'dbo' AND s.principal_id = DATABASE_PRINCIPAL_ID(N'dbo')
);

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', N'schema exconn', N'It exists and does not belong to dbo: ALTER AUTHORIZATION ON SCHEMA::exconn TO dbo.'
FROM sys.schemas AS s
WHERE s.name = N'exconn' AND s.principal_id <> DATABASE_PRINCIPAL_ID(N'dbo');

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', o.name, N'It has an owner of its own: ALTER AUTHORIZATION ON OBJECT::... TO SCHEMA OWNER.'
FROM @tables AS t
INNER JOIN sys.objects AS o ON t.ObjectId = o.object_id
WHERE o.principal_id IS NOT NULL AND o.principal_id <> DATABASE_PRINCIPAL_ID(N'dbo');

-- Tables and columns of the mapping.
INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', t.TableName, N'No such table: correct the mapping file.'
FROM @tables AS t
WHERE t.ObjectId IS NULL;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', o.name, CONCAT(N'Not a table but ', o.type_desc, N': triggers need the table itself.')
FROM @tables AS t
INNER JOIN sys.objects AS o ON t.ObjectId = o.object_id
WHERE o.type <> 'U';

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', CONCAT(e.TableName, N'.', e.ColumnName), N'No such column: correct the mapping file, with null where this version has none.'
FROM @expected AS e
INNER JOIN @tables AS t ON e.TableName = t.TableName
LEFT JOIN sys.columns AS c ON t.ObjectId = c.object_id AND e.ColumnName = c.name
WHERE t.ObjectId IS NOT NULL AND c.column_id IS NULL;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT
    CASE WHEN e.Kind = 'id' OR TYPE_NAME(c.system_type_id) IN (N'text', N'ntext') THEN 'fault' ELSE 'warning' END,
    CONCAT(e.TableName, N'.', e.ColumnName),
    CONCAT(N'Its type is ', TYPE_NAME(c.system_type_id), N', expected is one for a value of kind ', e.Kind, N'.')
FROM @expected AS e
INNER JOIN @tables AS t ON e.TableName = t.TableName
INNER JOIN sys.columns AS c ON t.ObjectId = c.object_id AND e.ColumnName = c.name
WHERE NOT (
    (e.Kind IN ('id', 'number') AND TYPE_NAME(c.system_type_id) IN (N'bigint', N'int', N'smallint', N'tinyint'))
    OR (e.Kind = 'text' AND TYPE_NAME(c.system_type_id) IN (N'nvarchar', N'varchar', N'nchar', N'char'))
    OR (e.Kind = 'guid' AND TYPE_NAME(c.system_type_id) = N'uniqueidentifier')
    OR (e.Kind = 'time' AND TYPE_NAME(c.system_type_id) IN (N'datetime', N'datetime2', N'smalldatetime'))
    OR (e.Kind = 'flag' AND TYPE_NAME(c.system_type_id) = N'bit')
);

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', t.TableName, N'Memory-optimised: its triggers would have to be natively compiled.'
FROM @tables AS t
INNER JOIN sys.tables AS s ON t.ObjectId = s.object_id
WHERE s.is_memory_optimized = 1;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'info', t.TableName, N'System-versioned (temporal): fine, the triggers fire on the current table.'
FROM @tables AS t
INNER JOIN sys.tables AS s ON t.ObjectId = s.object_id
WHERE s.temporal_type = 2;

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'warning', t.TableName, N'No enforced foreign key refers to it: a row that is inserted after those that refer to it is found by a backfill only.'
FROM @tables AS t
WHERE t.ObjectId IS NOT NULL
    AND t.TableName NOT IN (N'Appointments', N'AppointmentResources')
    AND NOT EXISTS (SELECT 1 FROM sys.foreign_keys AS k WHERE k.referenced_object_id = t.ObjectId AND k.is_disabled = 0);

-- Triggers that are there.
INSERT INTO @findings (Verdict, Subject, Finding)
SELECT
    CASE WHEN r.is_instead_of_trigger = 1 THEN 'warning' ELSE 'info' END,
    t.TableName,
    CONCAT(
        N'Trigger ', r.name,
        CASE WHEN r.is_instead_of_trigger = 1 THEN N' (INSTEAD OF: ours fires on what it does to the table)' ELSE N'' END,
        CASE WHEN r.is_disabled = 1 THEN N' (disabled)' ELSE N'' END
    )
FROM @tables AS t
INNER JOIN sys.triggers AS r ON t.ObjectId = r.parent_id
WHERE r.name NOT LIKE N'exconn[_]%';

INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'fault', t.TableName, CONCAT(N'Our trigger ', r.name, N' is disabled: ENABLE TRIGGER, then run a backfill.')
FROM @tables AS t
INNER JOIN sys.triggers AS r ON t.ObjectId = r.parent_id
WHERE r.name LIKE N'exconn[_]%' AND r.is_disabled = 1;

-- Who saves with OUTPUT and without INTO: refused (error 334) on a table that has a trigger. Words are compared, so look for yourself.
INSERT INTO @findings (Verdict, Subject, Finding)
SELECT DISTINCT
    'warning',
    CONCAT(OBJECT_SCHEMA_NAME(m.object_id), N'.', OBJECT_NAME(m.object_id)),
    CONCAT(N'Names ', t.TableName, N' and OUTPUT inserted/deleted: fails with error 334 if that OUTPUT has no INTO.')
FROM sys.sql_modules AS m
INNER JOIN @tables AS t ON m.[definition] LIKE N'%' + REPLACE(REPLACE(t.TableName, N'[', N'[[]'), N'_', N'[_]') + N'%'
WHERE (m.[definition] LIKE N'%OUTPUT%inserted.%' OR m.[definition] LIKE N'%OUTPUT%deleted.%')
    AND OBJECT_SCHEMA_NAME(m.object_id) <> N'exconn' AND OBJECT_NAME(m.object_id) NOT LIKE N'exconn[_]%';

IF HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') = 1
    INSERT INTO @findings (Verdict, Subject, Finding)
    SELECT DISTINCT TOP (50)
        'warning',
        N'statement of an application',
        CONCAT(N'Seen in the plan cache, fails with error 334 if it has no INTO: ', LEFT(x.text, 400))
    FROM sys.dm_exec_query_stats AS q
    CROSS APPLY sys.dm_exec_sql_text(q.sql_handle) AS x
    INNER JOIN @tables AS t ON x.text LIKE N'%' + REPLACE(REPLACE(t.TableName, N'[', N'[[]'), N'_', N'[_]') + N'%'
    WHERE (x.text LIKE N'%OUTPUT%inserted.%' OR x.text LIKE N'%OUTPUT%deleted.%')
        AND x.text NOT LIKE N'%exconn%' AND x.text NOT LIKE N'%@findings%';
ELSE
    INSERT INTO @findings (Verdict, Subject, Finding)
    VALUES ('info', N'statements of applications', N'Not looked at: that needs VIEW SERVER STATE.');

-- What was missed since the installation.
INSERT INTO @findings (Verdict, Subject, Finding)
SELECT 'warning', N'exconn.Missed', CONCAT(CONVERT(bigint, s.current_value), N' statements could not be noted since the installation. The reader finds their changes by itself; look for the cause.')
FROM sys.sequences AS s
WHERE s.object_id = OBJECT_ID(N'exconn.Missed') AND CONVERT(bigint, s.current_value) > 0;

SELECT f.Verdict, f.Subject, f.Finding
FROM @findings AS f
ORDER BY CASE f.Verdict WHEN 'fault' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, f.Subject, f.Finding;
GO
