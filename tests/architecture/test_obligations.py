"""conformance/reports/obligations.md says what the tests prove, of every row, and is the newest."""

import re
import runpy
import tomllib

import pytest

from tests.architecture.files import ROOT

SCRIPT = runpy.run_path(str(ROOT / "conformance/obligations.py"))
ROWS: dict[str, dict[str, str]] = tomllib.loads((ROOT / "conformance/obligations.toml").read_text())
REQUIREMENTS = ROOT.parent / "shared/requirements/obligations.md"


def test_s_112_the_report_is_what_the_tests_and_the_reasons_say() -> None:
    assert (ROOT / "conformance/reports/obligations.md").read_text() == SCRIPT["written"](), "Run `make obligations`."


def test_every_row_of_the_requirements_has_its_line_and_no_other() -> None:
    if not REQUIREMENTS.exists():
        pytest.skip("The requirements are not beside this checkout.")

    assert re.findall(r"^\| ([ST]\d+) \|", REQUIREMENTS.read_text(), re.MULTILINE) == list(ROWS["about"])


def test_a_reason_is_about_a_row_and_is_a_sentence() -> None:
    assert ROWS["not_met"].keys() <= ROWS["about"].keys()
    assert all(reason.endswith(".") and "|" not in reason for reason in ROWS["not_met"].values())


def test_every_id_that_a_test_bears_is_a_row() -> None:
    assert SCRIPT["proofs"]().keys() <= ROWS["about"].keys()


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_t32_s_95_nothing_is_lost", {"T32", "S95"}),
        ("test_s62_s63_a_clinic_answers", {"S62", "S63"}),
        ("test_s_62_63_a_clinic_answers", {"S62", "S63"}),
        ("test_s59_t43_r_smart_088_tls_1_1_is_refused", {"S59", "T43"}),
        ("test_r_balp_016_s_95_a_refusal", {"S95"}),
        ("test_m_5_d9_no_row", set()),
        ("test_words_about_s_62_files", set()),
        ("test_s_by_itself_is_a_word", set()),
    ],
)
def test_a_name_bears_the_ids_before_its_words(name: str, rows: set[str]) -> None:
    assert SCRIPT["ids_of"](name) == rows


def test_a_row_is_proven_or_not_met_or_both() -> None:
    rows = {"about": dict.fromkeys(("S1", "S2", "T1", "T2"), "what"), "not_met": {"S2": "one.", "T1": "two."}}
    proven = {"S1": [("a.py", "test_a")], "S2": [("b.py", "test_b")]}

    lines = [line for line in SCRIPT["report"](rows, proven).splitlines() if line.startswith(("| S", "| T", "4"))]

    assert lines == [
        "4 rows: 1 proven, 1 in part, 2 not met.",
        "| S1 | what | [`test_a`](../../a.py) |",
        "| S2 | what | [`test_b`](../../b.py)<br>not met in part, because one. |",
        "| T1 | what | not met, because two. |",
        "| T2 | what | not met, because no test bears its id. |",
    ]
