"""Places: ISO 3166 codes of countries and of the states of the US, `EU`, and cities with rules of their own.

As of 2025: ISO 3166-1, 3166-2:US, the members of the European Union and those of their parts overseas that belong to
it. The territories of the US have one spelling here, that of ISO 3166-2 (US-PR), so that none is taken for abroad.
"""

EUROPEAN_UNION = "EU"

_EU_CODES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK AX GF GP MF MQ RE YT"
_COUNTRY_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ "
    "CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM "
    "FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT "
    "JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM "
    "MN MO MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PS PT "
    "PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK "
    "TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VN VU WF WS YE YT ZA ZM ZW"
)
_STATE_CODES = (
    "AK AL AR AS AZ CA CO CT DC DE FL GA GU HI IA ID IL IN KS KY LA MA MD ME MI MN MO MP MS MT NC ND NE NH NJ NM "
    "NV NY OH OK OR PA PR RI SC SD TN TX UM UT VA VI VT WA WI WV WY"
)
_EU_MEMBERS = frozenset(_EU_CODES.split())
KNOWN_PLACES = frozenset(
    {EUROPEAN_UNION, "US-NY-NYC", *_COUNTRY_CODES.split(), *(f"US-{state}" for state in _STATE_CODES.split())}
)

PLACE_WORDS = "ISO 3166 codes of countries (DE), states of the US (US-CO), EU, US-NY-NYC"


def lies_within(place: str, area: str) -> bool:
    """Say whether a place is an area or a part of it."""
    if area == EUROPEAN_UNION and place[:2] in _EU_MEMBERS:
        return True
    return place == area or place.startswith(f"{area}-")


def reaches(area: str, declared: tuple[str, ...]) -> bool | None:
    """Say whether a system used in the declared places is used in an area; None when only something larger is declared.

    A system declared for `US` may or may not be used in Colorado: that is not known, and not a no.
    """
    if any(lies_within(place, area) for place in declared):
        return True
    return None if any(lies_within(area, place) for place in declared) else False
