"""Read job titles: the role of a leader, the function and the seniority. What is not sure is None.

One set of rules serves English, German, French, Spanish, Dutch and Portuguese titles, since a title is too short to
tell its language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

_SALES_OPS: Final = (
    r"rev(?:enue)?[ -]?op(?:s|erations)|sales[ -]?op(?:s|erations)|gtm op(?:s|erations)|go[ -]to[ -]market op(?:s|erations)|"
    r"sales enablement|revenue enablement|sales strategy|deal desk|crm (?:manager|admin\w*)|salesforce admin\w*|"
    r"vertriebssteuerung|operations commerciales"
)
_MARKETING_OPS: Final = r"marketing op(?:s|erations)"
_FUNCTIONS: Final = (
    ("sales_ops", _SALES_OPS),
    ("marketing_ops", _MARKETING_OPS),
    ("customer_success", r"customer success|client success|customer experience|kundenerfolg|reussite client|exito del cliente|sucesso do cliente|klantsucces|onboarding manager|renewals? manager"),
    ("support", r"(?:customer|technical|client|product) (?:support|service|care)|support (?:engineer|specialist|agent)|help ?desk|kundenservice|kundendienst|service client|atencion al cliente|klantenservice"),
    ("sales_engineering", r"(?:solutions?|sales|pre[ -]?sales) (?:engineer|consultant|architect)\w*|presales|pre-sales"),
    ("partnerships", r"partner(?:ship)?s?\b(?! at)|alliances?|channel (?:sales|manager|account)|business development"),
    ("recruiting", r"recruit\w*|talent (?:acquisition|partner)|sourcer|headhunter"),
    ("people", r"human resources|\bhr\b|people (?:operations|ops|partner|manager|team|officer)|chief people|personal(?:leiter|referent)\w*|ressources humaines|recursos humanos|personeelszaken|of people\b|talent\b"),
    ("product", r"product (?:manager|owner|lead|director|management|analyst|operations|ops)|chief product|of product\b|\bvp,? product\b|produktmanag\w*|chef de produit|gerente de produto|jefe de producto"),
    ("data", r"data (?:scien\w*|engineer\w*|analy\w*|architect\w*|platform)|machine learning|\bml\b|\bai (?:engineer|research\w*|scien\w*)|analytics engineer|business intelligence|\bbi (?:analyst|developer)|chief data"),
    ("design", r"\bdesign(?:er|ers)?\b|\bux\b|\bui\b|user (?:experience|research\w*)|creative director|art director|diseñador|gestalter"),
    ("security", r"security|\bciso\b|infosec|cyber\w*"),
    ("engineering", r"engineer\w*|developer|programmer|software|devops|\bsre\b|\bqa\b|full[ -]?stack|front[ -]?end|back[ -]?end|architect|entwickler\w*|ingenieur\w*|developpeu\w*|desarrollador\w*|ingenier\w*|ontwikkelaar|desenvolvedor\w*|engenheir\w*|\bcto\b|chief technology|chief technical|\bcio\b|technolog(?:y|ie)"),
    ("finance", r"financ\w*|accountant|accounting|controller|\bcfo\b|payroll|treasur\w*|\bfp&a\b|\btax\b|audit\w*|buchhalt\w*|comptab\w*|contador\w*|contab\w*|boekhoud\w*|finanz\w*|accounts (?:payable|receivable)"),
    ("legal", r"legal|counsel|attorney|lawyer|paralegal|compliance|jurist\w*|jurid\w*|avocat|abogad\w*|advogad\w*"),
    ("marketing", r"marketing|\bcmo\b|demand gen\w*|growth|content (?:writer|strateg\w*|manager|lead)|\bseo\b|brand|communications|public relations|\bpr\b|social media|copywriter|community manager|event manager|mercadeo|mercadotecnia"),
    ("sales", r"sales(?!force)|account executive|account manager|account director|\bae\b|\b[bs]dr\b|\bmdr\b|business development rep\w*|revenue|\bcro\b|seller|inside rep\w*|territory manager|commercial director|chief commercial|commercial (?:manager|executive)|vertrieb\w*|verkauf\w*|verkoop\w*|ventes?\b|commercial(?:e|es|aux)?\b|ventas|comercial|vendas|key account|enterprise account"),
    ("operations", r"operations|\bcoo\b|logistic\w*|supply chain|procurement|warehouse|fulfil\w*|einkauf\w*|betriebsleit\w*|operaciones|operacoes"),
)  # fmt: skip
_COMPILED: Final = tuple((name, re.compile(pattern)) for name, pattern in _FUNCTIONS)

_HELPER: Final = re.compile(
    r"['’]s (?:office|associate|assistant)\b|\b(?:officer|founder|c[efmtr]o|coo) associate\b|\b(?:officer|analyst|manager|coordinator|liaison) to (?:the )?(?:c[efmtrio]o|chief)\b"
    r"|\b(?:assistant|assistenz|assistente|assistentin|asistente|adjoint\w*|secretary|sekretar\w*) (?:to|of|for|der|des|du|de|do|da|van|til|a)\b"
    r"|\bassistant\b(?! (?:vice|vp|director|manager|general|professor|controller|engineer))|\bexecutive assistant\b|\bpersonal assistant\b"
    r"|\bchief of staff\b|\boffice of the\b|\b(?:reporting|reports) to\b|\badvisor to\b|\bsupport(?:ing)? the\b|\bbusiness partner to\b"
    r"|\b[ep]a to\b|\bworking with\b|\b\w*assisten(?:t|tin|z)\b|\bassistante?s? (?:a|au|du|de)\b|\basistente (?:del|al|a la)\b|\bsecretaire (?:du|de|des)\b|\bsecretaresse\b|\bdirectionssekretar\w*|\w*sekretar(?:in|iat)?\b|"
    r"\b(?:referent\w*|berater\w*|conseill\w+|asesor\w*|assessor\w*|adviseur) (?:del?|du|des|der|do|da|van|a|au)\b|\bsecretari[ao]\b|\bassistent(?:e|in)? (?:van|der|des|do|da)\b"
)
_FORMER: Final = re.compile(
    r"^(?:former(?:ly)?|ex|retired|previously|past|ehemalig\w*|ehem|ancien(?:ne)?|antigu[oa]|antig[oa]|voormalig\w*|aspiring|future)\b"
    r"|\((?:former(?:ly)?|ex|retired)\b"
)
_DEPUTY: Final = re.compile(
    r"^(?:deputy|stellv\w*|stv|sub-?direct\w*|subdiretor\w*|adjunct)\b|\badjoint\w*|\badjunt[oa]\b|\bdirect(?:eur|rice) generale? deleguee?\b"
)
_NOT_THIS: Final = re.compile(
    r"\b(?:sales|account|marketing) (?:assistant|intern|trainee|associate)\b|\bintern\b|\binternship\b|\bpraktik\w*|\bstagiaire\b|\bwerkstudent\w*"
)

_ABOUT: Final = re.compile(
    r"\b(?:c[efmtrio]o|cpo|ciso|chro)\b(?:['’]?s)? (?:staff|office|coach|advis\w*|services?|consult\w*|specialist|manager|analyst|project|program|quality|business|"
    r"operations|coordinator|writer|team|support|expert|strategist|lead)\b|\b(?:virtual|field|account)[ -](?:c[efmtrio]o|ciso)\b|^deputy (?:c[efmtrio]o|ciso|chief)\b|\bfor (?:the )?c[efmtrio]o\b"
    r"|\bhead of cro\b|^(?!.*\bchief\b).*\((?:c[efmtrio]o|ciso)\b"
)
"""Work for or about a leader: `CFO Advisory Consultant`, `Virtual CISO`, `Conversion Rate Optimization (CRO) Manager`."""
_PART: Final = (
    r"(?! (?:op|enable|engineer|strateg(?:y|ies|ic)\b(?! (?:&|and) op)|develop|compensat|analy|train|excel|effective|planning|tech|recruit|support|financ|admin|account|commission|onboard|"
    r"data\b|system|cycle|assurance|manage|counsel|integr|recog|audit|partner\b|product|program|process|automation|communicat|comm\b|perf|market|design|secur)"
    r"|(?:,| and| &) (?:\w+ )?(?:op(?:s|erations)|onboarding|buying|enablement|qa)\b)"
)
"""What follows a function where the title is about a part of it: `Sales Compensation` is not sales as a whole."""
_VP: Final = r"(?:s?evp|svp|avp|gvp|rvp|vp|(?:senior |executive |global |regional |group |area |corporate |assistant )*vice[ -]president(?:e|a|in)?|vice-?presidente|vizeprasident(?:in)?)"
_OF: Final = r"(?:,| -|-| of| for| fur| des?| du| van| da| do|:|/|\|| –)? ?(?:the |global |worldwide |international |north america |americas? |emea |apac |us |enterprise |commercial |corporate |na )*"
_SALES: Final = r"(?:(?:field )?sales\b|vertrieb\w*|verkauf\w*|ventes|ventas|vendas|verkoop|commerciale?)"
_ROLES: Final = (
    ("cro", r"(?<!\()\bcro\b(?! (?:specialist|manager|analyst|consultant|expert|strategist|lead|recruit|oversight|vendor|liaison|relations))(?!.*\b(?:risk|research|conversion|restructuring)\b)|chief revenue officer|chief revenue and\b|chief revenue &"),
    ("cso", r"chief sales officer"),
    ("cco", r"chief commercial officer|chief customer officer"),
    ("cmo", r"\bcmo\b(?!\))(?!.*\b(?:medical|manufactur\w*)\b)|^cmo\b(?!.*\b(?:medical|manufactur\w*)\b)|chief marketing (?:officer|and|&)|chief (?:growth|brand) officer"),
    ("cto", r"(?<!field )(?<!account )(?<!deputy )\bcto\b|chief (?:technology|technical) officer|direct(?:eur|rice) technique|directora? de tecnologia|technischer direktor"),
    ("cio", r"\bcio\b(?!.*\b(?:investment|innovation)\b)|chief information officer"),
    ("ciso", r"\bciso\b|chief information security officer"),
    ("cfo", r"\bcfo\b|chief financ(?:e|ial) officer|finanzvorstand|direct(?:eur|rice) (?:administrati(?:f|ve) et )?financi(?:er|ere)\b|directora? financier[oa]|diretora? financeir[oa]|financieel directeur"),
    ("coo", r"\bcoo\b|chief operati(?:ng|ons) officer"),
    ("cpo", r"chief product officer|chief product and\b"),
    ("chro", r"\bchro\b|chief (?:people|human resources) officer"),
    ("cdo", r"chief (?:data|digital) officer"),
    ("ceo", r"\bceo\b|chief executive(?: officer)?\b|gescha(?:e)?ftsfu(?:e)?hrer(?:in)?\b(?! vertrieb)|vorstandsvorsitzende\w*|\bpdg\b|president(?:e)?[- ]direct(?:eur|rice) general|direct(?:eur|rice) generale?\b|directora? general\b|diretora? geral|consejer[oa] delegad[oa]|algemeen directeur|gedelegeerd bestuurder"),
    ("vp_sales_ops", rf"{_VP}{_OF}(?:rev(?:enue)?[ -]?op(?:s|erations)|sales[ -]?op(?:s|erations)|gtm op(?:s|erations))(?! (?:and|&) engineer)"),
    ("vp_customer_success", rf"{_VP}{_OF}(?:customer success|client success|customer experience){_PART}"),
    ("vp_sales", rf"{_VP}{_OF}revenue\b{_PART}"),
    ("vp_marketing", rf"{_VP}{_OF}(?:growth |digital |brand )*marketing(?! op| perf| analyt| tech| comm| data| auto)|(?<!product )(?<!content )(?<!email )(?<!field )(?<!event )(?<!social )(?<!partner )(?<!lifecycle )(?<!performance )(?<!digital )\bhead of (?:global )?marketing(?! op| perf| analyt| tech| comm| data| auto)|marketingleiter(?:in)?|leiter(?:in)? marketing|directeur marketing|directrice marketing|director de marketing|diretor de marketing|directora de marketing|hoofd marketing"),
    ("vp_sales", (rf"{_VP}{_OF}{_SALES}{_PART}"
                 rf"|\bhead of (?:global |worldwide |international |enterprise |commercial |field |emea |us |dach |uk )*(?:sales|revenue)\b{_PART}"
                 r"|\bsales (?:vp|vice president)\b|vertriebsleiter(?:in)?\b(?! innendienst)|leiter(?:in)? (?:des |de[rs] )?vertriebs?\b|vertriebsleitung\b|leitung (?:des )?vertriebs?\b|vertriebsdirektor(?:in)?|vertriebsvorstand|directeur commercial|directrice commerciale|directeur des ventes|directrice des ventes|director de ventas|directora de ventas|director comercial|directora comercial|diretor(?:a)? comercial|diretor(?:a)? de vendas|commercieel directeur|hoofd verkoop|verkoopdirecteur|sales directeur")),
    ("vp_engineering", rf"{_VP}{_OF}(?:software |platform )?(?:engineering|development|technology)(?! sales){_PART}|\bhead of engineering{_PART}(?! productivity)"),
    ("vp_product", rf"{_VP}{_OF}product(?:s| management)?\b{_PART}|\bhead of product{_PART}"),
    ("vp_people", rf"{_VP}{_OF}(?:people|human resources|hr)\b{_PART}|\bhead of (?:people|hr|human resources)\b{_PART}"),
    ("vp_finance", rf"{_VP}{_OF}finance\b{_PART}|\bhead of finance\b{_PART}"),
    ("vp_it", rf"{_VP}{_OF}(?:it|information technology)\b|\bhead of it\b"),
    ("head_of_sales_ops", r"(?:head|director|leader)(?: of|,)? (?:rev(?:enue)?[ -]?op(?:s|erations)|sales[ -]?op(?:s|erations)|gtm op(?:s|erations))(?! (?:and|&) engineer)"),
    ("founder", r"(?:^|[&,/|+]|-|\band) ?(?:co-?)?founder\b(?!['’(]| associate| office| in residence)|\bco-?founder\b(?!['’(]| associate)|\bgrunder(?:in)?\b|\bfondateur\b|\bfondatrice\b|\bfundador(?:a)?\b|\boprichter\b|\bmitgrunder(?:in)?\b|\bcofondateur\b|\bcofundador(?:a)?\b"),
)  # fmt: skip
_COMPILED_ROLES: Final = tuple((name, re.compile(pattern)) for name, pattern in _ROLES)
_ROLE_FUNCTIONS: Final = {
    "cro": "sales", "cso": "sales", "cco": "sales", "vp_sales": "sales", "vp_sales_ops": "sales_ops",
    "head_of_sales_ops": "sales_ops", "cmo": "marketing", "vp_marketing": "marketing", "cto": "engineering", "cio": "engineering",
    "vp_engineering": "engineering", "vp_it": "engineering", "ciso": "security", "cfo": "finance", "vp_finance": "finance",
    "coo": "operations", "cpo": "product", "vp_product": "product", "chro": "people", "vp_people": "people", "cdo": "data",
    "vp_customer_success": "customer_success", "ceo": "executive", "founder": "executive",
}  # fmt: skip
_C_LEVEL: Final = frozenset(name for name, _ in _ROLES if len(name) == 3 or name in ("ciso", "chro"))
"""Roles at the top, whatever word a language has for them: `Directeur général` is no director."""

_SENIORITIES: Final = (
    ("intern", r"\bintern\b|\binternship\b|praktik\w*|stagiaire|werkstudent\w*|becari[oa]|estagi\w*|\btrainee\b|\bapprentice\b|\bazubi\b|auszubildende\w*"),
    ("vp", rf"\b{_VP}\b"),
    ("c_level", r"\bchief\b(?! of staff)|\bc[efmtorip]o\b|\bciso\b|\bchro\b|gescha(?:e)?ftsfu(?:e)?hr\w*|vorstand\w*|managing director|\bpdg\b|\bpresident\b|\bfounder\b|cofounder"),
    ("head", r"\bhead of\b|\bhead,|\bglobal head\b|leiter(?:in)?\b|\bhoofd\b|responsable\b"),
    ("director", r"director\w*|direktor\w*|directeur|directrice|diretor\w*"),
    ("manager", r"\bmanager\b|\bmanagerin\b|\bgerente\b|\bteam ?lead(?:er)?\b|\bteamleiter\w*|\bsupervisor\b|\bchef de\b|\bjefe\b"),
    ("lead", r"\blead\b|\bprincipal\b|\bstaff\b"),
    ("senior", r"\bsenior\b|\bsr\b\.?|\bsnr\b|\biii\b|\biv\b"),
    ("junior", r"\bjunior\b|\bjr\b\.?|\bentry[ -]level\b|\bgraduate\b|\bassociate\b|\bi\b$"),
)  # fmt: skip
_COMPILED_SENIORITIES: Final = tuple((name, re.compile(pattern)) for name, pattern in _SENIORITIES)


class Title(NamedTuple):
    """What a title says. None is unknown."""

    role: str | None
    function: str | None
    seniority: str | None


@lru_cache(maxsize=16_384)
def read_title(raw: str) -> Title:
    """Read a title: `Vice President, Sales` is the role `vp_sales`, `Assistant to the CRO` is none."""
    title = _fold(raw)[:300]
    function = next((name for name, pattern in _COMPILED if pattern.search(title)), None)
    seniority = next((name for name, pattern in _COMPILED_SENIORITIES if pattern.search(title)), None)
    if _HELPER.search(title):
        return Title(None, "administration", None)
    if _FORMER.search(title) or _DEPUTY.search(title) or _NOT_THIS.search(title):
        return Title(None, function, seniority)
    if _ABOUT.search(title):
        return Title(None, function, seniority)
    role = next((name for name, pattern in _COMPILED_ROLES if pattern.search(title)), None)
    if role is not None:
        function = _ROLE_FUNCTIONS.get(role, function)
        seniority = "c_level" if role in _C_LEVEL else seniority
    return Title(role, function, seniority)


def _fold(raw: str) -> str:
    """Return a title in lower case without accents, with single spaces and without dots in abbreviations."""
    text = unicodedata.normalize("NFKD", raw.replace("ß", "ss")).lower()
    text = "".join(one for one in text if not unicodedata.combining(one))
    text = re.sub(r"\b([a-z])\.([a-z])\.", r"\1\2", text)
    text = re.sub(r"\b(sr|jr|snr|dir|mgr|v|p)\.", r"\1", text)
    return " ".join(text.replace("\u2013", "-").replace("\u2014", "-").replace("_", " ").split())
