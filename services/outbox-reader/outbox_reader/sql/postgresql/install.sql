-- The outbox of the Exchange connector, for a planning database in PostgreSQL (demonstration and tests).
-- Everything of ours is in the schema exconn, except the triggers, which are named exconn_...
-- Can be run again at any time: rows of the outbox and its identity stay.

BEGIN;

SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS exconn;

-- Order of snapshots: whoever reads an appointment draws a version first.
CREATE SEQUENCE IF NOT EXISTS exconn.Version AS bigint;
-- Keys of outbox rows. They only identify: they are drawn before commits, so they say nothing about order.
CREATE SEQUENCE IF NOT EXISTS exconn.OutboxId AS bigint;
-- Counts statements whose change could not be noted. A sequence, because it needs no lock and no transaction.
CREATE SEQUENCE IF NOT EXISTS exconn.Missed AS bigint MINVALUE 0 START WITH 0;
DO $do$
BEGIN
    IF NOT (SELECT is_called FROM exconn.Missed) THEN
        PERFORM nextval('exconn.Missed');
    END IF;
END
$do$;

CREATE TABLE IF NOT EXISTS exconn.Outbox (
    Id bigint NOT NULL DEFAULT nextval('exconn.OutboxId') CONSTRAINT PK_exconn_Outbox PRIMARY KEY,
    AppointmentId bigint NULL,
    AppointmentGuid uuid NULL,
    Action char(1) NOT NULL CONSTRAINT CK_exconn_Outbox_Action CHECK (Action IN ('I', 'U', 'D')),
    Cause varchar(12) NOT NULL DEFAULT 'change',
    SharedTable varchar(128) NULL,
    SharedKey varchar(128) NULL,
    SharedAfter bigint NULL,
    Priority smallint NOT NULL DEFAULT 0,
    RequestId uuid NULL,
    CreatedAt timestamp(3) NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'utc'),
    DueAt timestamp(3) NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'utc'),
    State smallint NOT NULL DEFAULT 0,
    LeaseToken uuid NULL,
    LeaseUntil timestamp(3) NULL,
    Attempts int NOT NULL DEFAULT 0,
    Version bigint NULL,
    DoneAt timestamp(3) NULL,
    Reason varchar(400) NULL
);
-- Claiming what is due, fresh changes before bulk.
CREATE INDEX IF NOT EXISTS IX_exconn_Outbox_Due ON exconn.Outbox (State, Priority, Id) INCLUDE (DueAt, AppointmentId, LeaseUntil, LeaseToken);
-- No row is claimed while another of the same appointment is under lease.
CREATE INDEX IF NOT EXISTS IX_exconn_Outbox_Appointment ON exconn.Outbox (AppointmentId, State) INCLUDE (LeaseUntil);
-- Replay and pruning of what is done.
CREATE INDEX IF NOT EXISTS IX_exconn_Outbox_Done ON exconn.Outbox (DoneAt) INCLUDE (State);

CREATE TABLE IF NOT EXISTS exconn.State (
    Id int NOT NULL DEFAULT 1 CONSTRAINT PK_exconn_State PRIMARY KEY CONSTRAINT CK_exconn_State_One CHECK (Id = 1),
    OutboxIdentity uuid NOT NULL DEFAULT gen_random_uuid(),
    StateDatabase uuid NULL,
    PlannedVersion bigint NOT NULL DEFAULT 0,
    MissedSeen bigint NOT NULL DEFAULT 0
);
INSERT INTO exconn.State (Id) VALUES (1) ON CONFLICT DO NOTHING;

DROP VIEW IF EXISTS exconn.AppointmentSnapshot;
CREATE VIEW exconn.AppointmentSnapshot AS
SELECT
    a.{{appointment_id}} AS AppointmentId,
    a.{{appointment_guid}} AS AppointmentGuid,
    json_build_object(
        {{snapshot_fields}},
        'assignments', (
            SELECT
                coalesce(
                    json_agg(
                        json_build_object(
                            {{assignment_fields}}
                        )
                        ORDER BY r.{{resource_number}} COLLATE "C", r.{{resource_id}}
                    ),
                    '[]'::json
                )
            FROM {{assignments}} AS s
            INNER JOIN {{resources}} AS r ON s.{{assignment_resource}} = r.{{resource_id}}
            WHERE s.{{assignment_appointment}} = a.{{appointment_id}}
        )
    )::text AS Snapshot
FROM {{appointments}} AS a{{snapshot_joins}};

-- Which appointments show a row of a shared table.
DROP VIEW IF EXISTS exconn.SharedRow;
CREATE VIEW exconn.SharedRow AS
{{shared_rows}};

-- What our own import says about itself, so that it is known again: set_config('exconn.request', uuid, true).
CREATE OR REPLACE FUNCTION exconn.Request() RETURNS uuid
LANGUAGE sql STABLE
AS $body$
    SELECT CASE
        WHEN current_setting('exconn.request', true) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            THEN current_setting('exconn.request', true)::uuid
    END
$body$;

{{drop_triggers}}
-- A trigger never fails the planner's statement: what cannot be noted is counted, and the reader finds it by a comparison.
-- SECURITY DEFINER: users of Dime.Scheduler need no rights in this schema.
CREATE OR REPLACE FUNCTION exconn.NoteAppointments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT i.{{appointment_id}}, i.{{appointment_guid}}, 'I', exconn.Request()
        FROM inserted AS i;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT d.{{appointment_id}}, d.{{appointment_guid}}, 'D', exconn.Request()
        FROM deleted AS d;
    ELSE
        -- The same id with another guid is another appointment: the old one is deleted, the new one inserted.
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, RequestId)
        SELECT i.{{appointment_id}}, i.{{appointment_guid}}, CASE WHEN d.{{appointment_id}} IS NULL THEN 'I' ELSE 'U' END, exconn.Request()
        FROM inserted AS i
        LEFT JOIN deleted AS d
            ON d.{{appointment_id}} = i.{{appointment_id}} AND d.{{appointment_guid}} IS NOT DISTINCT FROM i.{{appointment_guid}}
        UNION ALL
        SELECT d.{{appointment_id}}, d.{{appointment_guid}}, 'D', exconn.Request()
        FROM deleted AS d
        LEFT JOIN inserted AS i
            ON d.{{appointment_id}} = i.{{appointment_id}} AND d.{{appointment_guid}} IS NOT DISTINCT FROM i.{{appointment_guid}}
        WHERE i.{{appointment_id}} IS NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM nextval('exconn.Missed');
    RETURN NULL;
END
$body$;
CREATE TRIGGER exconn_Appointments_Insert AFTER INSERT ON {{appointments}}
REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAppointments();
CREATE TRIGGER exconn_Appointments_Update AFTER UPDATE ON {{appointments}}
REFERENCING OLD TABLE AS deleted NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAppointments();
CREATE TRIGGER exconn_Appointments_Delete AFTER DELETE ON {{appointments}}
REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAppointments();

CREATE OR REPLACE FUNCTION exconn.NoteAssignments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO exconn.Outbox (AppointmentId, Action, RequestId)
        SELECT DISTINCT i.{{assignment_appointment}}, 'U', exconn.Request()
        FROM inserted AS i;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO exconn.Outbox (AppointmentId, Action, RequestId)
        SELECT DISTINCT d.{{assignment_appointment}}, 'U', exconn.Request()
        FROM deleted AS d;
    ELSE
        INSERT INTO exconn.Outbox (AppointmentId, Action, RequestId)
        SELECT touched.AppointmentId, 'U', exconn.Request()
        FROM (
            SELECT i.{{assignment_appointment}} AS AppointmentId FROM inserted AS i
            UNION
            SELECT d.{{assignment_appointment}} FROM deleted AS d
        ) AS touched;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM nextval('exconn.Missed');
    RETURN NULL;
END
$body$;
CREATE TRIGGER exconn_Assignments_Insert AFTER INSERT ON {{assignments}}
REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAssignments();
CREATE TRIGGER exconn_Assignments_Update AFTER UPDATE ON {{assignments}}
REFERENCING OLD TABLE AS deleted NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAssignments();
CREATE TRIGGER exconn_Assignments_Delete AFTER DELETE ON {{assignments}}
REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION exconn.NoteAssignments();

{{shared_triggers}}
COMMIT;
