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
IF NOT EXISTS (SELECT 1 FROM sys.schemas AS s WHERE s.name = N'{{schema_text}}' AND s.principal_id = DATABASE_PRINCIPAL_ID(N'dbo'))
BEGIN
    RAISERROR (N'The schema {{schema_text}} does not exist or does not belong to dbo: nothing is installed. See the pre-flight check.', 16, 1);
    SET NOEXEC ON;
END
GO

BEGIN TRANSACTION;
GO

IF SCHEMA_ID(N'exconn') IS NULL
    EXEC sys.sp_executesql N'CREATE SCHEMA exconn AUTHORIZATION dbo;';
GO
{{guard}}
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
{{guard}}
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
{{guard}}
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
{{guard}}IF NOT EXISTS (SELECT 1 FROM exconn.State)
    INSERT INTO exconn.State (Id) VALUES (1);
GO
{{guard}}
IF OBJECT_ID(N'exconn.AppointmentSnapshot', N'V') IS NOT NULL
    DROP VIEW exconn.AppointmentSnapshot;
GO
{{guard}}CREATE VIEW exconn.AppointmentSnapshot
AS
SELECT
    a.{{appointment_id}} AS AppointmentId,
    TRY_CONVERT(uniqueidentifier, a.{{appointment_guid}}) AS AppointmentGuid,
    (
        SELECT
            {{snapshot_fields}},
            JSON_QUERY(ISNULL((
                SELECT
                    {{assignment_fields}}
                FROM {{assignments}} AS s
                INNER JOIN {{resources}} AS r ON s.{{assignment_resource}} = r.{{resource_id}}
                WHERE s.{{assignment_appointment}} = a.{{appointment_id}}
                ORDER BY CAST(r.{{resource_number}} AS nvarchar(200)) COLLATE Latin1_General_BIN2, r.{{resource_id}}
                FOR JSON PATH, INCLUDE_NULL_VALUES
            ), N'[]')) AS [assignments]
        FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER
    ) AS Snapshot
FROM {{appointments}} AS a{{snapshot_joins}};
GO
{{guard}}
-- Which appointments show a row of a shared table. SharedKey is a number here (and text in the outbox), so that
-- the comparison converts the outbox's key, and an index on the planning's column can be used.
IF OBJECT_ID(N'exconn.SharedRow', N'V') IS NOT NULL
    DROP VIEW exconn.SharedRow;
GO
{{guard}}CREATE VIEW exconn.SharedRow
AS
{{shared_rows}};
GO
{{guard}}
{{drop_triggers}}GO
{{guard}}
-- The triggers only write to exconn.Outbox, and read nothing but the rows that their statement changed.
-- SET ROWCOUNT 0: a session that limits its rows could not draw from a sequence (and options end with the trigger).
-- XACT_ABORT OFF and CATCH: what cannot be noted does not fail the planner's statement, unless the transaction is
-- lost anyway; it is counted in exconn.Missed, and the reader finds it by a comparison when the count grew.
CREATE TRIGGER {{schema}}.exconn_Appointments ON {{appointments}}
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
            i.{{appointment_id}},
            TRY_CONVERT(uniqueidentifier, i.{{appointment_guid}}),
            CASE WHEN d.{{appointment_id}} IS NULL THEN 'I' ELSE 'U' END,
            @request
        FROM inserted AS i
        LEFT JOIN deleted AS d
            ON i.{{appointment_id}} = d.{{appointment_id}}
            AND (
                i.{{appointment_guid}} = d.{{appointment_guid}}
                OR (i.{{appointment_guid}} IS NULL AND d.{{appointment_guid}} IS NULL)
            );

        -- The same id with another guid is another appointment: the old one is deleted.
        INSERT INTO exconn.Outbox WITH (ROWLOCK) (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT
            d.{{appointment_id}},
            TRY_CONVERT(uniqueidentifier, d.{{appointment_guid}}),
            'D',
            @request
        FROM deleted AS d
        LEFT JOIN inserted AS i
            ON d.{{appointment_id}} = i.{{appointment_id}}
            AND (
                i.{{appointment_guid}} = d.{{appointment_guid}}
                OR (i.{{appointment_guid}} IS NULL AND d.{{appointment_guid}} IS NULL)
            )
        WHERE i.{{appointment_id}} IS NULL;
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
{{guard}}
CREATE TRIGGER {{schema}}.exconn_Assignments ON {{assignments}}
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
        SELECT i.{{assignment_appointment}} FROM inserted AS i
        UNION
        SELECT d.{{assignment_appointment}} FROM deleted AS d;

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
{{guard}}
{{shared_triggers}}
COMMIT TRANSACTION;
PRINT N'The outbox is installed.';
GO
SET NOEXEC OFF;
SET LOCK_TIMEOUT -1;
GO
