-- The least that the connector needs in the Dime.Scheduler database: a role, and a login that is its member.
-- Run it after install.sql, in the Dime.Scheduler database, as a member of db_owner and securityadmin.
-- Can be run again. First set the login's name, and its password (or take the Windows account instead).

SET NOCOUNT ON;
SET XACT_ABORT ON;
GO

-- A Windows account (or group managed service account):
--     CREATE LOGIN [CONTOSO\svc-exconn$] FROM WINDOWS;
--     CREATE USER exconn_connector FOR LOGIN [CONTOSO\svc-exconn$];
-- A login of SQL Server:
--     CREATE LOGIN exconn_connector WITH PASSWORD = N'...', CHECK_POLICY = ON;
--     CREATE USER exconn_connector FOR LOGIN exconn_connector;
-- The user needs no default schema and no rights on Dime.Scheduler's own tables: the views reach them.

IF DATABASE_PRINCIPAL_ID(N'exconn_reader') IS NULL
    CREATE ROLE exconn_reader AUTHORIZATION dbo;
GO

-- The views and tables of exconn, also those of later versions.
GRANT SELECT ON SCHEMA::exconn TO exconn_reader;
-- Claim and finish rows, expand rows of shared tables, backfill, prune.
GRANT INSERT, UPDATE, DELETE ON OBJECT::exconn.Outbox TO exconn_reader;
-- Note which state database was confirmed, and how far it came.
GRANT UPDATE ON OBJECT::exconn.State TO exconn_reader;
-- NEXT VALUE FOR needs UPDATE on a sequence.
GRANT UPDATE ON OBJECT::exconn.Version TO exconn_reader;
GRANT UPDATE ON OBJECT::exconn.OutboxId TO exconn_reader;
-- See how often something could not be noted.
GRANT VIEW DEFINITION ON OBJECT::exconn.Missed TO exconn_reader;
GO

-- Only if the way back is used: see which parameters this version's Exchange procedures have. They are called over HTTP, not from here.
IF OBJECT_ID(N'dbo.mboc_upsertExchangeAppointment', N'P') IS NOT NULL
    GRANT VIEW DEFINITION ON OBJECT::dbo.mboc_upsertExchangeAppointment TO exconn_reader;
IF OBJECT_ID(N'dbo.mboc_deleteExchangeAppointment', N'P') IS NOT NULL
    GRANT VIEW DEFINITION ON OBJECT::dbo.mboc_deleteExchangeAppointment TO exconn_reader;
GO

IF DATABASE_PRINCIPAL_ID(N'exconn_connector') IS NULL
    RAISERROR (N'There is no user exconn_connector yet: create it as the comment above says, and run this again.', 16, 1);
ELSE
    ALTER ROLE exconn_reader ADD MEMBER exconn_connector;
GO

-- To take it out again, after uninstall.sql:
--     DROP USER exconn_connector;
--     DROP ROLE exconn_reader;
--     DROP LOGIN exconn_connector;
