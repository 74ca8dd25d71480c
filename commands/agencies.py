"""Agencies: who works here; every member belongs to one, and an alert waits for each."""

import re
from enum import Enum

from bot.kernel.card import Card, Strong, bullet, card, line
from bot.kernel.errors import Conflict, NotFound, NotUnderstood
from bot.kernel.language import Language, Text, ToType, Voice, t, tn
from bot.kernel.vocabulary import Call, Capability, Example, Post, Quoted, Role
from bot.kernel.words import nearest, quoted
from storage.agencies import Agency

agencies = Capability("agencies")

CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,8}[A-Z0-9])")  # 2 to 10 characters
LONGEST_NAME = 80


class Country(Enum):
    """The countries on either side of the border; the value is the ISO 3166-1 code."""

    CA = "CA"
    US = "US"


def code_of(typed: str) -> str:
    """The agency code in its one spelling, upper case; NotUnderstood if it can be none."""
    code = typed.strip().upper()
    if CODE.fullmatch(code):
        return code
    fitting = re.sub(r"[^A-Z0-9-]", "", code)[:10].strip("-")
    raise NotUnderstood(
        t("{typed} cannot be an agency's code.", typed=typed),
        argument="code",
        allowed=t("A code has 2 to 10 letters, digits or hyphens: CBP, OPP-EAST"),
        instead=fitting if CODE.fullmatch(fitting) else None,
        example=None if CODE.fullmatch(fitting) else "!agency list",
    )


def name_of(agency: Agency, voice: Voice) -> str:
    """The agency's name in the reader's language."""
    return agency.name_fr if voice.language is Language.FR else agency.name_en


async def known_agency(call: Call, typed: str, argument: str = "agency") -> Agency:
    """The agency with this code; NotFound, with the nearest codes, if there is none."""
    agency = await call.tx.agencies.find(typed)
    if agency is not None:
        return agency
    codes = [each.code for each in await call.tx.agencies.all()]
    near = nearest(typed, codes)
    raise NotFound(
        t("There is no agency {code}.", code=typed.upper()),
        argument=argument,
        allowed=t("The list has {codes}", codes=tuple(codes)) if codes else None,
        instead=near,
        example=None if near else "!agency list",
    )


@agencies.command(
    "agency add",
    role=Role.ADMIN,
    french=["agence ajouter"],
    names={"code": "code", "name": "nom", "country": "pays"},
    examples=[
        Example(
            '!agency add SPVM "Service de police de la Ville de Montréal" country=CA',
            answers="SPVM is on the list",
        ),
        Example('!agency add opp-east "OPP East"', answers="OPP-EAST is on the list"),
        Example(
            '!agency add SQ "Again"',
            given=('!agency add SQ "Sûreté du Québec"',),
            answers="SQ is already",
            refused=True,
        ),
        Example('!agency add O "Ontario"', answers="O cannot be an agency's code", refused=True),
    ],
)
async def add_agency(
    call: Call, code: str, name: Quoted, *, fr: str | None = None, country: Country | None = None
) -> Post:
    """Put an agency on the list, so that people can be enrolled for it."""
    proper = code_of(code)
    _check_length(name, "name")
    _check_length(fr, "fr")
    agency = Agency(proper, name, fr or name, country.value if country else None)
    if not await call.tx.agencies.add(agency):
        there = await known_agency(call, proper)
        raise Conflict(
            t("{code} is already on the list: {name}.", code=proper, name=name_of(there, call.voice)),
            argument="code",
            example="!agency list",
        )
    return Post(_added(agency, said_french=fr is not None), about=f"agency/{proper}")


def _check_length(name: str | None, argument: str) -> None:
    if name is not None and not 0 < len(name.strip()) <= LONGEST_NAME:
        raise NotUnderstood(
            t(
                "An agency's name has 1 to {most} characters, not {count}.",
                most=LONGEST_NAME,
                count=len(name),
            ),
            argument=argument,
            instead=quoted(name.strip()[:LONGEST_NAME].strip() or "Sûreté du Québec"),
        )


def _added(agency: Agency, *, said_french: bool) -> Card:
    lines = [line(t("{code} is on the list: {name}.", code=agency.code, name=agency.name_en))]
    if said_french:
        lines.append(bullet(t("In French: {name}", name=agency.name_fr)))
    lines.append(bullet(t("Enrol its people:"), " ", ToType(f"!member add @name:server {agency.code}")))
    return card(lines)


@agencies.command(
    "agency list",
    "agency",
    "agencies",
    role=None,
    french=["agence liste", "agence", "agences"],
    examples=[
        Example("!agency list", answers="Agencies:"),
        Example("!agency list all of them", answers="all", refused=True),
    ],
)
async def list_agencies(call: Call) -> Card | Text:
    """Which agencies work here, and how many of their people are enrolled."""
    found = await call.tx.agencies.all()
    if not found:
        return t(
            "No agency is on the list yet. An admin adds one: {command}",
            command=ToType('!agency add CBP "…"'),
        )
    enrolled = [member.agency for member in await call.tx.members.all()]
    return card(
        line(Strong(t("Agencies: {count}", count=len(found)))),
        [bullet(_described(each, enrolled.count(each.code), call.voice)) for each in found],
    )


def _described(agency: Agency, members: int, voice: Voice) -> Text:
    people = tn("{count} member", "{count} members", members)
    values = {"code": agency.code, "name": name_of(agency, voice), "people": people}
    if agency.country is None:
        return t("{code}: {name} · {people}", **values)
    return t("{code}: {name} ({country}) · {people}", **values, country=agency.country)
