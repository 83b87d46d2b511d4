-- Every trigger of ours, also on tables that an earlier mapping named.
DO $do$
DECLARE
    ours record;
BEGIN
    FOR ours IN
        SELECT tgname, tgrelid::regclass AS onto FROM pg_catalog.pg_trigger WHERE tgname LIKE 'exconn\_%'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', ours.tgname, ours.onto);
    END LOOP;
END
$do$;
