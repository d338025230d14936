"""Requests of data subjects: find everything, answer, hand out, erase, correct, restrict, object; in time."""

from sealwire.custody.requests.finding import (
    IndexRebuilding,
    find_by_number,
    names,
    records_of_number,
)
from sealwire.custody.requests.looks import Look, looks_at
from sealwire.custody.requests.report import Holding, SubjectReport, subject_report

__all__ = [
    "Holding",
    "IndexRebuilding",
    "Look",
    "SubjectReport",
    "find_by_number",
    "looks_at",
    "names",
    "records_of_number",
    "subject_report",
]
