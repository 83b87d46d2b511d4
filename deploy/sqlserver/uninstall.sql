-- Takes the outbox of the Exchange connector out of the Dime.Scheduler database. Rows that were not read yet are lost.
-- Can be run again; Dime.Scheduler's own tables stay as they are. The triggers go first, so that no statement of the
-- planning ever meets a trigger without its table.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET LOCK_TIMEOUT 10000;
GO

BEGIN TRANSACTION;

-- Every trigger of ours, also on tables that an earlier mapping named.
DECLARE @drop nvarchar(max) = N'';
SELECT @drop = @drop + N'DROP TRIGGER ' + QUOTENAME(OBJECT_SCHEMA_NAME(t.object_id)) + N'.' + QUOTENAME(t.name) + N';'
FROM sys.triggers AS t
WHERE t.parent_class = 1 AND t.name LIKE N'exconn[_]%';
EXEC sys.sp_executesql @drop;

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
