-- {{table}}: one row that names the changed row, only where a column changed that the snapshot shows.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE OR REPLACE FUNCTION exconn.Note{{shared}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO exconn.Outbox (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', '{{shared}}', d.{{id}}::text, 1, exconn.Request()
        FROM deleted AS d;
    ELSE
        INSERT INTO exconn.Outbox (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', '{{shared}}', changed.Id::text, 1, exconn.Request()
        FROM (
            SELECT coalesce(i.{{id}}, d.{{id}}) AS Id
            FROM inserted AS i
            FULL JOIN deleted AS d ON d.{{id}} = i.{{id}}
            WHERE i.{{id}} IS NULL OR d.{{id}} IS NULL
                OR (
                    {{new_columns}}
                ) IS DISTINCT FROM (
                    {{old_columns}}
                )
        ) AS changed;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM nextval('exconn.Missed');
    RETURN NULL;
END
$body$;
CREATE TRIGGER exconn_{{shared}}_Update AFTER UPDATE ON {{table}}
REFERENCING OLD TABLE AS deleted NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION exconn.Note{{shared}}();
CREATE TRIGGER exconn_{{shared}}_Delete AFTER DELETE ON {{table}}
REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION exconn.Note{{shared}}();
