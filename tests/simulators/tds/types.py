"""What drivers ask before they bind parameters: how large the types of SQL Server can be."""

from pysqlbridge.tds.result import Column, Integer, NVarChar

from simulators.tds.wire import Answer

# SQL's number of a type, as ODBC gives it: its name here, its largest size, its largest scale.
SIZES = {
    12: ("varchar", 8000, None),
    -9: ("nvarchar", 4000, None),
    -3: ("varbinary", 8000, None),
    93: ("datetime2", 27, 7),
}
NAME, SHORT, LONG = NVarChar(128), Integer(2), Integer(4)
COLUMNS = [
    Column("TYPE_NAME", NAME),
    Column("DATA_TYPE", SHORT),
    Column("PRECISION", LONG),
    Column("LITERAL_PREFIX", NAME),
    Column("LITERAL_SUFFIX", NAME),
    Column("CREATE_PARAMS", NAME),
    Column("NULLABLE", SHORT),
    Column("CASE_SENSITIVE", SHORT),
    Column("SEARCHABLE", SHORT),
    Column("UNSIGNED_ATTRIBUTE", SHORT),
    Column("MONEY", SHORT),
    Column("AUTO_INCREMENT", SHORT),
    Column("LOCAL_TYPE_NAME", NAME),
    Column("MINIMUM_SCALE", SHORT),
    Column("MAXIMUM_SCALE", SHORT),
    Column("SQL_DATA_TYPE", SHORT),
    Column("SQL_DATETIME_SUB", SHORT),
    Column("NUM_PREC_RADIX", LONG),
    Column("INTERVAL_PRECISION", SHORT),
    Column("USERTYPE", SHORT),
]


def type_info(number: int) -> Answer:
    """The answer of sp_datatype_info for one type; no row where we do not know it."""
    if number not in SIZES:
        return Answer(COLUMNS, [], called=True)
    name, size, scale = SIZES[number]
    row = [
        name,
        number,
        size,
        "'",
        "'",
        None,
        1,
        0,
        3,
        None,
        0,
        None,
        name,
        scale,
        scale,
        number,
        None,
        None,
        None,
        0,
    ]
    return Answer(COLUMNS, [row], called=True)
