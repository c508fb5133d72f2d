"""Which role, function and seniority a title gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.sources.normalizers.titles import read_title
from tests.benchmarks.titles import measure


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("Chief Revenue Officer", "cro"), ("CRO & Co-Founder", "cro"), ("Vice President, Sales", "vp_sales"), ("SVP Sales", "vp_sales"), ("Head of Sales", "vp_sales"),
        ("VP Revenue", "vp_sales"), ("VP of Revenue", "vp_sales"), ("V.P. Sales", "vp_sales"), ("VP - Sales", "vp_sales"), ("Vice President-Sales", "vp_sales"), ("Regional VP, Enterprise Sales", "vp_sales"),
        ("Head of Global Sales", "vp_sales"), ("Vertriebsleiter", "vp_sales"), ("Leiterin Vertrieb", "vp_sales"), ("Directeur commercial", "vp_sales"), ("Directrice des ventes", "vp_sales"),
        ("Director Comercial", "vp_sales"), ("Directora de Ventas", "vp_sales"), ("Diretor de Vendas", "vp_sales"), ("Commercieel directeur", "vp_sales"), ("Chief Marketing Officer", "cmo"),
        ("VP Marketing", "vp_marketing"), ("Chief Executive Officer", "ceo"), ("Geschäftsführer", "ceo"), ("Chief Technology Officer", "cto"), ("CFO", "cfo"), ("VP Engineering", "vp_engineering"),
        ("Vice President Sales Operations", "vp_sales_ops"), ("Head of RevOps", "head_of_sales_ops"), ("Co-Founder", "founder"),
        ("Assistant to the CRO", None), ("Executive Assistant to the CEO", None), ("Account Executive", None), ("Sales Manager", None), ("Former VP Sales", None), ("VP Sales Engineering", None), ("VP-Sales Engineering", None),
        ("Head of Sales Enablement", None), ("Office of the CEO", None), ("Chief of Staff to the CRO", None), ("Sales Intern", None), ("", None), ("Engineer", None), ("Assistenz der Geschäftsführung", None),
        ("Founder's Associate", None), ("Founder associate", None), ("Founder(s) in Residence", None), ("Field CTO - APJ", None), ("Account CTO", None), ("CTO's Office - AI Engineer", None),
        ("Chief Revenue Officer Associate", None), ("Special Officer to CEO", None), ("VP of Revenue Marketing", None), ("VP Product Marketing", None), ("Head of Marketing performance", None),
        ("VP of Product Support", None), ("Head of People Systems", None), ("Head of Sales DACH / Regional Sales Director DACH", "vp_sales"), ("Regional vice president, enterprise sales (UK)", "vp_sales"),
        ("Head of Marketing (f/m/d)", "vp_marketing"), ("Chief Operating Officer (COO)/Deputy CEO", "coo"), ("Continuous Mining Operator (CMO)", None), ("Iron Founder", None),
        ("EA to CEO", None), ("PA to the Chief Executive", None), ("Asistente del Director General", None), ("Assistante du directeur commercial", None), ("Assistentin Geschäftsführer", None),
        ("Secrétaire du directeur général", None), ("Asesor del Director General", None), ("Adjoint au directeur commercial", None), ("Directeur général adjoint", None), ("Deputy Head of Sales", None),
        ("Stellvertretender Vertriebsleiter", None), ("stv. Geschäftsführer", None), ("Subdirector de Ventas", None), ("ehem. Vertriebsleiter", None), ("CRO (former)", None), ("Voormalig commercieel directeur", None),
        ("VP Salesforce Practice", None), ("Head of Salesforce", None), ("CRO (Chief Risk Officer)", None), ("CRO - Contract Research Organization", None), ("CMO (Chief Medical Officer)", None), ("CIO - Chief Investment Officer", None),
        ("CRO Recruiter", None), ("Working with the CRO", None), ("Interim CRO", "cro"), ("SVP, Global Sales", "vp_sales"), ("Geschaeftsfuehrerin", "ceo"), ("Directrice Générale", "ceo"), ("Directora General", "ceo"),
        ("Consejera Delegada", "ceo"), ("Diretora Financeira", "cfo"), ("Directrice administrative et financière", "cfo"), ("Leitung Vertrieb", "vp_sales"), ("Assistenz Vertriebsleitung", None),
    ],
)  # fmt: skip
def test_the_role_of_a_leader(title: str, role: str | None) -> None:
    assert read_title(title).role == role


@pytest.mark.parametrize(
    ("title", "function"),
    [
        ("Account Executive", "sales"), ("Founding Account Executive", "sales"), ("SDR", "sales"), ("Sales Development Representative", "sales"), ("Vertriebsmitarbeiter", "sales"),
        ("Sales Operations Manager", "sales_ops"), ("RevOps Manager", "sales_ops"), ("Revenue Operations Analyst", "sales_ops"), ("Marketing Operations", "marketing_ops"),
        ("Senior Software Engineer", "engineering"), ("Solutions Engineer", "sales_engineering"), ("Product Manager", "product"), ("Customer Success Manager", "customer_success"),
        ("Technical Recruiter", "recruiting"), ("Data Scientist", "data"), ("Accountant", "finance"), ("Content Marketing Manager", "marketing"), ("Janitor", None),
    ],
)  # fmt: skip
def test_the_function_of_a_job(title: str, function: str | None) -> None:
    assert read_title(title).function == function


@pytest.mark.parametrize(
    "title", ["Directeur général", "Director General", "Algemeen directeur", "Directeur financier"]
)
def test_a_leader_at_the_top_has_that_seniority_in_each_language(title: str) -> None:
    assert read_title(title).seniority == "c_level"


def test_each_role_is_right_for_98_of_100_labeled_titles() -> None:
    found = {role: (given, right) for role, (given, right, _) in measure().items() if given >= 150}
    assert len(found) >= 14
    assert {role: counts for role, counts in found.items() if counts[1] < 0.98 * counts[0]} == {}


@given(st.text(max_size=400))
def test_any_text_is_read(title: str) -> None:
    read_title(title)
