-- Takes the outbox of the Exchange connector out of the planning database. Rows that were not read yet are lost.
-- Can be run again; Dime.Scheduler's own tables stay as they are.

BEGIN;

SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

{{drop_triggers}}
DROP FUNCTION IF EXISTS exconn.NoteAppointments();
DROP FUNCTION IF EXISTS exconn.NoteAssignments();
DROP FUNCTION IF EXISTS exconn.NoteResources();
DROP FUNCTION IF EXISTS exconn.NoteCategories();
DROP FUNCTION IF EXISTS exconn.NoteTimeMarkers();
DROP FUNCTION IF EXISTS exconn.NoteTasks();
DROP FUNCTION IF EXISTS exconn.NoteJobs();
DROP FUNCTION IF EXISTS exconn.Request();
DROP VIEW IF EXISTS exconn.SharedRow;
DROP VIEW IF EXISTS exconn.AppointmentSnapshot;
DROP TABLE IF EXISTS exconn.Outbox;
DROP TABLE IF EXISTS exconn.State;
DROP SEQUENCE IF EXISTS exconn.Missed;
DROP SEQUENCE IF EXISTS exconn.OutboxId;
DROP SEQUENCE IF EXISTS exconn.Version;
DROP SCHEMA IF EXISTS exconn;

COMMIT;
