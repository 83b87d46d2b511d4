-- Every trigger of ours, also on tables that an earlier mapping named.
DECLARE @drop nvarchar(max) = N'';
SELECT @drop = @drop + N'DROP TRIGGER ' + QUOTENAME(OBJECT_SCHEMA_NAME(t.object_id)) + N'.' + QUOTENAME(t.name) + N';'
FROM sys.triggers AS t
WHERE t.parent_class = 1 AND t.name LIKE N'exconn[_]%';
EXEC sys.sp_executesql @drop;
