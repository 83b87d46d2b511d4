-- The outbox of the Exchange connector, for the Dime.Scheduler database in SQL Server 2016 or newer.
-- Everything of ours is in the schema exconn, except the triggers, which are named exconn_...
-- Run it in that database as a member of db_owner, in a quiet moment: creating a trigger waits for running
-- transactions on its table (at most 10 seconds, then this script fails and changes nothing).
-- Can be run again at any time: rows of the outbox, its identity and the permissions stay.

SET ANSI_NULLS, QUOTED_IDENTIFIER, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL ON;
SET NUMERIC_ROUNDABORT OFF;
SET NOCOUNT ON;
SET XACT_ABORT ON;
SET LOCK_TIMEOUT 10000;
GO

-- Users of Dime.Scheduler get no rights in exconn: the triggers reach it because both schemas belong to dbo.
IF NOT EXISTS (SELECT 1 FROM sys.schemas AS s WHERE s.name = N'dbo' AND s.principal_id = DATABASE_PRINCIPAL_ID(N'dbo'))
BEGIN
    RAISERROR (N'The schema dbo does not exist or does not belong to dbo: nothing is installed. See the pre-flight check.', 16, 1);
    SET NOEXEC ON;
END
GO

BEGIN TRANSACTION;
GO

IF SCHEMA_ID(N'exconn') IS NULL
    EXEC sys.sp_executesql N'CREATE SCHEMA exconn AUTHORIZATION dbo;';
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- Order of snapshots: whoever reads an appointment draws a version first.
IF OBJECT_ID(N'exconn.Version', N'SO') IS NULL
    CREATE SEQUENCE exconn.Version AS bigint START WITH 1 INCREMENT BY 1 CACHE 50;
-- Keys of outbox rows. They only identify: they are drawn before commits, so they say nothing about order.
-- No IDENTITY: it would change @@IDENTITY for whoever saves an appointment.
IF OBJECT_ID(N'exconn.OutboxId', N'SO') IS NULL
    CREATE SEQUENCE exconn.OutboxId AS bigint START WITH 1 INCREMENT BY 1 CACHE 1000;
-- Counts statements whose change could not be noted. A sequence, because it needs no lock and no transaction.
IF OBJECT_ID(N'exconn.Missed', N'SO') IS NULL
BEGIN
    CREATE SEQUENCE exconn.Missed AS bigint START WITH 0 INCREMENT BY 1 MINVALUE 0 NO CACHE;
    EXEC sys.sp_executesql N'DECLARE @first bigint = NEXT VALUE FOR exconn.Missed;';
END
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- No filtered index, no computed column, no indexed view here: they would refuse rows from sessions with other SET options.
IF OBJECT_ID(N'exconn.Outbox', N'U') IS NULL
    CREATE TABLE exconn.Outbox (
        Id bigint NOT NULL CONSTRAINT DF_exconn_Outbox_Id DEFAULT (NEXT VALUE FOR exconn.OutboxId),
        AppointmentId bigint NULL,
        AppointmentGuid uniqueidentifier NULL,
        Action char(1) NOT NULL CONSTRAINT CK_exconn_Outbox_Action CHECK (Action IN ('I', 'U', 'D')),
        Cause varchar(12) NOT NULL CONSTRAINT DF_exconn_Outbox_Cause DEFAULT ('change'),
        SharedTable varchar(128) NULL,
        SharedKey nvarchar(128) NULL,
        SharedAfter bigint NULL,
        Priority smallint NOT NULL CONSTRAINT DF_exconn_Outbox_Priority DEFAULT (0),
        RequestId uniqueidentifier NULL,
        CreatedAt datetime2(3) NOT NULL CONSTRAINT DF_exconn_Outbox_CreatedAt DEFAULT (SYSUTCDATETIME()),
        DueAt datetime2(3) NOT NULL CONSTRAINT DF_exconn_Outbox_DueAt DEFAULT (SYSUTCDATETIME()),
        State smallint NOT NULL CONSTRAINT DF_exconn_Outbox_State DEFAULT (0),
        LeaseToken uniqueidentifier NULL,
        LeaseUntil datetime2(3) NULL,
        Attempts int NOT NULL CONSTRAINT DF_exconn_Outbox_Attempts DEFAULT (0),
        Version bigint NULL,
        DoneAt datetime2(3) NULL,
        Reason nvarchar(400) NULL,
        CONSTRAINT PK_exconn_Outbox PRIMARY KEY CLUSTERED (Id)
    );
-- Row locks never become a lock on the table, whatever one statement of the planning or of the reader touches.
IF EXISTS (SELECT 1 FROM sys.tables AS t WHERE t.object_id = OBJECT_ID(N'exconn.Outbox') AND t.lock_escalation_desc <> N'DISABLE')
    EXEC sys.sp_executesql N'ALTER TABLE exconn.Outbox SET (LOCK_ESCALATION = DISABLE);';
-- Claiming what is due, fresh changes before bulk.
IF INDEXPROPERTY(OBJECT_ID(N'exconn.Outbox'), N'IX_exconn_Outbox_Due', N'IndexID') IS NULL
    CREATE INDEX IX_exconn_Outbox_Due ON exconn.Outbox (State, Priority, Id) INCLUDE (DueAt, AppointmentId, LeaseUntil, LeaseToken);
-- No row is claimed while another of the same appointment is under lease.
IF INDEXPROPERTY(OBJECT_ID(N'exconn.Outbox'), N'IX_exconn_Outbox_Appointment', N'IndexID') IS NULL
    CREATE INDEX IX_exconn_Outbox_Appointment ON exconn.Outbox (AppointmentId, State) INCLUDE (LeaseUntil);
-- Replay and pruning of what is done.
IF INDEXPROPERTY(OBJECT_ID(N'exconn.Outbox'), N'IX_exconn_Outbox_Done', N'IndexID') IS NULL
    CREATE INDEX IX_exconn_Outbox_Done ON exconn.Outbox (DoneAt) INCLUDE (State);
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

IF OBJECT_ID(N'exconn.State', N'U') IS NULL
    CREATE TABLE exconn.State (
        Id int NOT NULL CONSTRAINT DF_exconn_State_Id DEFAULT (1) CONSTRAINT CK_exconn_State_One CHECK (Id = 1),
        OutboxIdentity uniqueidentifier NOT NULL CONSTRAINT DF_exconn_State_OutboxIdentity DEFAULT (NEWID()),
        StateDatabase uniqueidentifier NULL,
        PlannedVersion bigint NOT NULL CONSTRAINT DF_exconn_State_PlannedVersion DEFAULT (0),
        MissedSeen bigint NOT NULL CONSTRAINT DF_exconn_State_MissedSeen DEFAULT (0),
        CONSTRAINT PK_exconn_State PRIMARY KEY CLUSTERED (Id)
    );
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO
IF NOT EXISTS (SELECT 1 FROM exconn.State)
    INSERT INTO exconn.State (Id) VALUES (1);
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

IF OBJECT_ID(N'exconn.AppointmentSnapshot', N'V') IS NOT NULL
    DROP VIEW exconn.AppointmentSnapshot;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO
CREATE VIEW exconn.AppointmentSnapshot
AS
SELECT
    a.[Id] AS AppointmentId,
    TRY_CONVERT(uniqueidentifier, a.[AppointmentGuid]) AS AppointmentGuid,
    (
        SELECT
            a.[Id] AS [id],
            LOWER(CONVERT(char(36), a.[AppointmentGuid])) AS [guid],
            COALESCE(CAST(a.[Subject] AS nvarchar(max)), '') AS [subject],
            COALESCE(CAST(a.[Body] AS nvarchar(max)), '') AS [body],
            REPLACE(CONVERT(char(23), CAST(a.[StartDate] AS datetime2(3)), 121), ' ', 'T') AS [start],
            REPLACE(CONVERT(char(23), CAST(a.[EndDate] AS datetime2(3)), 121), ' ', 'T') AS [end],
            CAST(a.[IsAllDayEvent] AS bit) AS [all_day],
            COALESCE(CAST(a.[Importance] AS int), 0) AS [importance],
            CAST(a.[ShowAs] AS int) AS [show_as],
            CAST(a.[Sensitivity] AS int) AS [sensitivity],
            CAST(c.[Name] AS nvarchar(max)) AS [category],
            CAST(m.[Name] AS nvarchar(max)) AS [time_marker],
            NULLIF(CAST(j.[SiteAddress] AS nvarchar(max)), '') AS [location],
            COALESCE(CAST(a.[Locked] AS bit), CAST(0 AS bit)) AS [locked],
            CAST(a.[ExchangeId] AS nvarchar(max)) AS [exchange_id],
            CAST(a.[ICalUId] AS nvarchar(max)) AS [ical_uid],
            JSON_QUERY(ISNULL((
                SELECT
                    CAST(r.[ResourceNo] AS nvarchar(max)) AS [resource_no],
                    COALESCE(CAST(r.[DisplayName] AS nvarchar(max)), '') AS [display_name],
                    CAST(r.[Email] AS nvarchar(max)) AS [email],
                    COALESCE(CAST(r.[ExchangeIntegrationEnabled] AS bit), CAST(0 AS bit)) AS [exchange_integration_enabled]
                FROM [dbo].[AppointmentResources] AS s
                INNER JOIN [dbo].[Resources] AS r ON s.[ResourceId] = r.[Id]
                WHERE s.[AppointmentId] = a.[Id]
                ORDER BY CAST(r.[ResourceNo] AS nvarchar(200)) COLLATE Latin1_General_BIN2, r.[Id]
                FOR JSON PATH, INCLUDE_NULL_VALUES
            ), N'[]')) AS [assignments]
        FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER
    ) AS Snapshot
FROM [dbo].[Appointments] AS a
LEFT JOIN [dbo].[Categories] AS c ON a.[CategoryId] = c.[Id]
LEFT JOIN [dbo].[TimeMarkers] AS m ON a.[TimeMarkerId] = m.[Id]
LEFT JOIN [dbo].[Tasks] AS t ON a.[TaskId] = t.[Id]
LEFT JOIN [dbo].[Jobs] AS j ON t.[JobId] = j.[Id];
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- Which appointments show a row of a shared table. SharedKey is a number here (and text in the outbox), so that
-- the comparison converts the outbox's key, and an index on the planning's column can be used.
IF OBJECT_ID(N'exconn.SharedRow', N'V') IS NOT NULL
    DROP VIEW exconn.SharedRow;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO
CREATE VIEW exconn.SharedRow
AS
SELECT
    CAST('Resources' AS varchar(128)) AS SharedTable,
    s.[ResourceId] AS SharedKey,
    a.[Id] AS AppointmentId,
    a.[AppointmentGuid] AS AppointmentGuid
FROM [dbo].[AppointmentResources] AS s
INNER JOIN [dbo].[Appointments] AS a ON s.[AppointmentId] = a.[Id]
UNION ALL
SELECT
    CAST('Categories' AS varchar(128)) AS SharedTable,
    a.[CategoryId] AS SharedKey,
    a.[Id] AS AppointmentId,
    a.[AppointmentGuid] AS AppointmentGuid
FROM [dbo].[Appointments] AS a
WHERE a.[CategoryId] IS NOT NULL
UNION ALL
SELECT
    CAST('TimeMarkers' AS varchar(128)) AS SharedTable,
    a.[TimeMarkerId] AS SharedKey,
    a.[Id] AS AppointmentId,
    a.[AppointmentGuid] AS AppointmentGuid
FROM [dbo].[Appointments] AS a
WHERE a.[TimeMarkerId] IS NOT NULL
UNION ALL
SELECT
    CAST('Tasks' AS varchar(128)) AS SharedTable,
    a.[TaskId] AS SharedKey,
    a.[Id] AS AppointmentId,
    a.[AppointmentGuid] AS AppointmentGuid
FROM [dbo].[Appointments] AS a
WHERE a.[TaskId] IS NOT NULL
UNION ALL
SELECT
    CAST('Jobs' AS varchar(128)) AS SharedTable,
    t.[JobId] AS SharedKey,
    a.[Id] AS AppointmentId,
    a.[AppointmentGuid] AS AppointmentGuid
FROM [dbo].[Appointments] AS a
INNER JOIN [dbo].[Tasks] AS t ON a.[TaskId] = t.[Id]
WHERE t.[JobId] IS NOT NULL;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- Every trigger of ours, also on tables that an earlier mapping named.
DECLARE @drop nvarchar(max) = N'';
SELECT @drop = @drop + N'DROP TRIGGER ' + QUOTENAME(OBJECT_SCHEMA_NAME(t.object_id)) + N'.' + QUOTENAME(t.name) + N';'
FROM sys.triggers AS t
WHERE t.parent_class = 1 AND t.name LIKE N'exconn[_]%';
EXEC sys.sp_executesql @drop;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- The triggers only write to exconn.Outbox, and read nothing but the rows that their statement changed.
-- SET ROWCOUNT 0: a session that limits its rows could not draw from a sequence (and options end with the trigger).
-- XACT_ABORT OFF and CATCH: what cannot be noted does not fail the planner's statement, unless the transaction is
-- lost anyway; it is counted in exconn.Missed, and the reader finds it by a comparison when the count grew.
CREATE TRIGGER [dbo].exconn_Appointments ON [dbo].[Appointments]
AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM inserted) AND NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT
            i.[Id],
            TRY_CONVERT(uniqueidentifier, i.[AppointmentGuid]),
            CASE WHEN d.[Id] IS NULL THEN 'I' ELSE 'U' END,
            @request
        FROM inserted AS i
        LEFT JOIN deleted AS d
            ON i.[Id] = d.[Id]
            AND (
                i.[AppointmentGuid] = d.[AppointmentGuid]
                OR (i.[AppointmentGuid] IS NULL AND d.[AppointmentGuid] IS NULL)
            );

        -- The same id with another guid is another appointment: the old one is deleted.
        INSERT INTO exconn.Outbox WITH (ROWLOCK) (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT
            d.[Id],
            TRY_CONVERT(uniqueidentifier, d.[AppointmentGuid]),
            'D',
            @request
        FROM deleted AS d
        LEFT JOIN inserted AS i
            ON d.[Id] = i.[Id]
            AND (
                i.[AppointmentGuid] = d.[AppointmentGuid]
                OR (i.[AppointmentGuid] IS NULL AND d.[AppointmentGuid] IS NULL)
            )
        WHERE i.[Id] IS NULL;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

CREATE TRIGGER [dbo].exconn_Assignments ON [dbo].[AppointmentResources]
AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM inserted) AND NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        -- A sequence cannot be drawn from in a statement with UNION: first the distinct ids, then the rows.
        DECLARE @touched TABLE (AppointmentId bigint NULL);

        INSERT INTO @touched (AppointmentId)
        SELECT i.[AppointmentId] FROM inserted AS i
        UNION
        SELECT d.[AppointmentId] FROM deleted AS d;

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (AppointmentId, Action, RequestId)
        SELECT t.AppointmentId, 'U', @request
        FROM @touched AS t
        WHERE t.AppointmentId IS NOT NULL;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- [dbo].[Resources]: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER [dbo].exconn_Resources ON [dbo].[Resources]
AFTER UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    IF EXISTS (SELECT 1 FROM inserted)
        AND NOT (
            UPDATE([Id])
            OR UPDATE([ResourceNo])
            OR UPDATE([DisplayName])
            OR UPDATE([Email])
            OR UPDATE([ExchangeIntegrationEnabled])
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.[Id])
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.[Id] = i.[Id]
                AND EXISTS (
                    SELECT
                        CONVERT(varbinary(max), CAST(i.[ResourceNo] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(i.[DisplayName] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(i.[Email] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(i.[ExchangeIntegrationEnabled] AS nvarchar(max)))
                    INTERSECT
                    SELECT
                        CONVERT(varbinary(max), CAST(d.[ResourceNo] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(d.[DisplayName] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(d.[Email] AS nvarchar(max))),
                        CONVERT(varbinary(max), CAST(d.[ExchangeIntegrationEnabled] AS nvarchar(max)))
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.[Id])
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.[Id] = d.[Id]);

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', 'Resources', c.SharedKey, 1, @request
        FROM @changed AS c;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- [dbo].[Categories]: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER [dbo].exconn_Categories ON [dbo].[Categories]
AFTER UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    IF EXISTS (SELECT 1 FROM inserted)
        AND NOT (
            UPDATE([Id])
            OR UPDATE([Name])
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.[Id])
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.[Id] = i.[Id]
                AND EXISTS (
                    SELECT
                        CONVERT(varbinary(max), CAST(i.[Name] AS nvarchar(max)))
                    INTERSECT
                    SELECT
                        CONVERT(varbinary(max), CAST(d.[Name] AS nvarchar(max)))
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.[Id])
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.[Id] = d.[Id]);

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', 'Categories', c.SharedKey, 1, @request
        FROM @changed AS c;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- [dbo].[TimeMarkers]: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER [dbo].exconn_TimeMarkers ON [dbo].[TimeMarkers]
AFTER UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    IF EXISTS (SELECT 1 FROM inserted)
        AND NOT (
            UPDATE([Id])
            OR UPDATE([Name])
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.[Id])
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.[Id] = i.[Id]
                AND EXISTS (
                    SELECT
                        CONVERT(varbinary(max), CAST(i.[Name] AS nvarchar(max)))
                    INTERSECT
                    SELECT
                        CONVERT(varbinary(max), CAST(d.[Name] AS nvarchar(max)))
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.[Id])
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.[Id] = d.[Id]);

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', 'TimeMarkers', c.SharedKey, 1, @request
        FROM @changed AS c;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- [dbo].[Tasks]: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER [dbo].exconn_Tasks ON [dbo].[Tasks]
AFTER UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    IF EXISTS (SELECT 1 FROM inserted)
        AND NOT (
            UPDATE([Id])
            OR UPDATE([JobId])
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.[Id])
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.[Id] = i.[Id]
                AND EXISTS (
                    SELECT
                        CONVERT(varbinary(max), CAST(i.[JobId] AS nvarchar(max)))
                    INTERSECT
                    SELECT
                        CONVERT(varbinary(max), CAST(d.[JobId] AS nvarchar(max)))
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.[Id])
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.[Id] = d.[Id]);

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', 'Tasks', c.SharedKey, 1, @request
        FROM @changed AS c;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

-- [dbo].[Jobs]: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER [dbo].exconn_Jobs ON [dbo].[Jobs]
AFTER UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET ROWCOUNT 0;
    SET XACT_ABORT OFF;
    IF NOT EXISTS (SELECT 1 FROM deleted)
        RETURN;
    IF EXISTS (SELECT 1 FROM inserted)
        AND NOT (
            UPDATE([Id])
            OR UPDATE([SiteAddress])
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.[Id])
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.[Id] = i.[Id]
                AND EXISTS (
                    SELECT
                        CONVERT(varbinary(max), CAST(i.[SiteAddress] AS nvarchar(max)))
                    INTERSECT
                    SELECT
                        CONVERT(varbinary(max), CAST(d.[SiteAddress] AS nvarchar(max)))
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.[Id])
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.[Id] = d.[Id]);

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', 'Jobs', c.SharedKey, 1, @request
        FROM @changed AS c;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() = -1
        BEGIN
            THROW;
        END;
        DECLARE @missed bigint = NEXT VALUE FOR exconn.Missed;
    END CATCH;
END;
GO
IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END
GO

COMMIT TRANSACTION;
PRINT N'The outbox is installed.';
GO
SET NOEXEC OFF;
SET LOCK_TIMEOUT -1;
GO
