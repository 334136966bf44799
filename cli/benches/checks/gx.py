"""The twenty checks of twenty.yaml by Great Expectations: one suite, one batch over the whole table, one validation run.

Usage: gx.py URL FORMAT    where FORMAT is BASIC (violations are counted) or BOOLEAN_ONLY

Prints one line of JSON. With BASIC no rows are fetched as examples; BOOLEAN_ONLY is the cheapest that it offers.
Expectations over the same rows are bundled into one statement by Great Expectations itself, so none has a condition on
rows but B18. It was measured that way and as a query, and the condition is the faster.
"""

import datetime
import json
import logging
import os
import sys
import time
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
warnings.filterwarnings("ignore")
began = time.perf_counter()

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402
from great_expectations.expectations.row_conditions import Column  # noqa: E402

logging.getLogger("great_expectations").setLevel(logging.ERROR)
imported = time.perf_counter()

url, form = sys.argv[1:3]
day = datetime.date
not_null, one_of = gxe.ExpectColumnValuesToNotBeNull, gxe.ExpectColumnValuesToBeInSet
between, matches = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToMatchRegex
unique, lengths = gxe.ExpectColumnValuesToBeUnique, gxe.ExpectColumnValueLengthsToBeBetween
# Not in a table is plain SQL for Great Expectations, and NULL is in none.
EDUCATION = 'SELECT * FROM {batch} WHERE "Education" NOT IN (SELECT "EducationId" FROM "tblEducations")'

checks = {
    "B01": not_null(column="CHFID"),
    "B02": not_null(column="FamilyID"),
    "B03": not_null(column="Gender"),
    "B04": not_null(column="PhotoID"),
    "B05": one_of(column="Gender", value_set=["M", "F", "O"]),
    "B06": one_of(column="Marital", value_set=["N", "W", "S", "D", "M"]),
    "B07": one_of(column="TypeOfId", value_set=["D", "N", "P", "V"]),
    "B08": between(column="DOB", min_value=day(1900, 1, 1), max_value=day(2026, 1, 31)),
    "B09": between(column="Relationship", min_value=1, max_value=8),
    "B10": matches(column="CHFID", regex="^[0-9]{9}$"),
    "B11": matches(column="Phone", regex="^[+]?[0-9 ]{8,15}$"),
    "B12": matches(column="Email", regex="^[^@ ]+@[^@ ]+[.][a-z]+$"),
    "B13": unique(column="CHFID"),
    "B14": unique(column="InsureeUUID"),
    "B15": gxe.ExpectCompoundColumnsToBeUnique(
        column_list=["TypeOfId", "passport"], ignore_row_if="any_value_is_missing"
    ),
    "B16": lengths(column="LastName", min_value=2, max_value=50),
    "B17": lengths(column="CHFID", min_value=9, max_value=12),
    "B18": not_null(column="Relationship", row_condition=Column("IsHead") == False),  # noqa: E712
    "B19": gxe.UnexpectedRowsExpectation(unexpected_rows_query=EDUCATION),
    "B20": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="PhotoDate", column_B="DOB", or_equal=True, ignore_row_if="either_value_is_missing"
    ),
}
# Results come in an order of their own.
for check, expectation in checks.items():
    expectation.meta = {"check": check}

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
source = context.data_sources.add_postgres("postgres", connection_string=url)
batch = source.add_table_asset("insurees", table_name='"tblInsuree"').add_batch_definition_whole_table("all")
suite = context.suites.add(gx.ExpectationSuite(name="twenty", expectations=list(checks.values())))
definition = context.validation_definitions.add(gx.ValidationDefinition(data=batch, suite=suite, name="twenty"))
ready = time.perf_counter()

result_format = {"result_format": form}
if form != "BOOLEAN_ONLY":
    result_format["partial_unexpected_count"] = 0
validation = definition.run(result_format=result_format)
ended = time.perf_counter()

found, broken = {}, {}
for result in validation.results:
    check = result.expectation_config.meta["check"]
    told = result.exception_info
    if any(one.get("raised_exception") for one in [told, *told.values()] if isinstance(one, dict)):
        sys.exit(f"{check} raised an exception: {told}")
    values = result.result or {}
    found[check] = values.get("unexpected_count", values.get("observed_value"))
    broken[check] = not result.success
print(
    json.dumps(
        {
            "found": None if form == "BOOLEAN_ONLY" else dict(sorted(found.items())),
            "broken": sorted(check for check, is_broken in broken.items() if is_broken),
            "import_seconds": imported - began,
            "prepare_seconds": ready - imported,
            "seconds": ended - ready,
            "version": gx.__version__,
        }
    )
)
