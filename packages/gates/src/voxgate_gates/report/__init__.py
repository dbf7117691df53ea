"""What a run leaves behind: a table on the terminal, and four files."""

from voxgate_gates.report.document import report_document
from voxgate_gates.report.folder import write_reports
from voxgate_gates.report.junit import junit_xml
from voxgate_gates.report.summary import summary_markdown
from voxgate_gates.report.terminal import print_report

__all__ = ["junit_xml", "print_report", "report_document", "summary_markdown", "write_reports"]
