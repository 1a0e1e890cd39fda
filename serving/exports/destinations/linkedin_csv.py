"""LinkedIn contact list, file. Specification: section 6; the template's header was not seen."""

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum
from serving.exports.digests import SHA256
from serving.exports.fields import country_field, device_field, email_field, text_field
from serving.exports.names import lower, trimmed

COLUMNS = (
    *("email", "firstname", "lastname", "jobtitle", "employeecompany", "country", "googleaid"),
)
NAMES = ("firstname", "lastname")

DESTINATION = Destination(
    name="linkedin-csv",
    title="LinkedIn Matched Audiences (file)",
    section="6",
    links=("https://www.linkedin.com/help/lms/answer/a1489764",),
    platforms=("linkedin_csv",),
    fields=(
        email_field(
            "email",
            digest=SHA256,
            clause="section 6: column email; trim, lower, lower-case hex",
        ),
        text_field(
            "firstname",
            "first_name",
            trimmed,
            clause="section 6: column firstname",
        ),
        text_field(
            "lastname",
            "last_name",
            trimmed,
            clause="section 6: column lastname",
        ),
        text_field(
            "jobtitle",
            "job_title",
            trimmed,
            clause="section 6: column jobtitle",
        ),
        text_field(
            "employeecompany",
            "company",
            trimmed,
            clause="section 6: column employeecompany",
        ),
        country_field(
            "country",
            clause="section 6: column country",
        ),
        device_field(
            "googleaid",
            "aaid",
            lower,
            clause="section 6: column googleaid, plain",
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=tuple((name, name) for name in COLUMNS),
            needs=("email", "googleaid"),
            max_rows=300_000,
            max_bytes=20_000_000,
        )
    ),
    minimum=Minimum(300, 1_000, "section 6: at least 300 rows, 300 matched members to serve"),
    match_rate=(0.2, 0.5),
    note="The column names follow the sibling template and connectors; compare them with the "
    "template of your account before the first upload.",
)
