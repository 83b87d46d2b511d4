-- Takes the outbox of the Exchange connector out of the Dime.Scheduler database. Rows that were not read yet are lost.
-- Can be run again; Dime.Scheduler's own tables stay as they are. The triggers go first, so that no statement of the
-- planning ever meets a trigger without its table.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET LOCK_TIMEOUT 10000;
GO

BEGIN TRANSACTION;

{{drop_triggers}}
DROP VIEW IF EXISTS exconn.SharedRow;
DROP VIEW IF EXISTS exconn.AppointmentSnapshot;
DROP TABLE IF EXISTS exconn.Outbox;
DROP TABLE IF EXISTS exconn.State;
DROP SEQUENCE IF EXISTS exconn.Missed;
DROP SEQUENCE IF EXISTS exconn.OutboxId;
DROP SEQUENCE IF EXISTS exconn.Version;
DROP SCHEMA IF EXISTS exconn;

COMMIT TRANSACTION;
PRINT N'The outbox is gone.';
GO
SET LOCK_TIMEOUT -1;
GO
