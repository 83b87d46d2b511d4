-- {{table}}: one row that names the changed row, only where a column changed that the snapshot shows.
-- Compared as bytes: a collation would overlook a change of case, and = overlooks blanks at the end.
-- Not for INSERT: nothing refers to a row before it is there.
CREATE TRIGGER {{schema}}.exconn_{{shared}} ON {{table}}
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
            {{updated}}
        )
        RETURN;
    BEGIN TRY
        DECLARE @request uniqueidentifier
            = TRY_CONVERT(uniqueidentifier, TRY_CONVERT(nvarchar(36), SESSION_CONTEXT(N'exconn.request')));
        DECLARE @changed TABLE (SharedKey nvarchar(128) NOT NULL);

        INSERT INTO @changed (SharedKey)
        SELECT CONVERT(nvarchar(128), i.{{id}})
        FROM inserted AS i
        WHERE NOT EXISTS (
            SELECT 1
            FROM deleted AS d
            WHERE d.{{id}} = i.{{id}}
                AND EXISTS (
                    SELECT
                        {{new_columns}}
                    INTERSECT
                    SELECT
                        {{old_columns}}
                )
        )
        UNION
        SELECT CONVERT(nvarchar(128), d.{{id}})
        FROM deleted AS d
        WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE i.{{id}} = d.{{id}});

        INSERT INTO exconn.Outbox WITH (ROWLOCK) (Action, SharedTable, SharedKey, Priority, RequestId)
        SELECT 'U', '{{shared}}', c.SharedKey, 1, @request
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
{{guard}}