"""Postal addresses and names of people, as far as their surroundings show them: most names have no shape at all.

An address is a street with a number, in the forms of a dozen countries, with the town that follows. A name is found
behind a title, after words that introduce one, in a signature, before somebody's own address or number.
"""

import re

from middleware.probe.redaction_cues import Cue, Glance, Rule, WordCue, always, any_of, keyed, spelled

__all__ = ["ADDRESSES", "NAMES"]

_UP = r"[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŐŒŘŚŞŠŤŪŮŰŲŹŻŽА-ЯЁІЇЄΑ-Ω]"
_CAP = rf"(?:[dDlLNO][’'])?{_UP}[^\W\d_]{{0,24}}(?:[-’'][^\W\d_]{{1,24}}){{0,3}}"
_PART = r"(?:de|del|della|der|den|des|di|da|do|dos|du|von|van|zu|la|le|el|al|bin|ben|ter|ten|y|e|af|av)"
_PERSON = rf"{_CAP}(?: (?:{_PART} ){{0,2}}{_CAP}){{0,3}}"
_TOWN = rf"{_CAP}(?:[ -](?:(?:sur|sous|am|an der|ob der|de|del|di|du|la|le|les|upon|on|in|bei|i)[ -])?{_CAP}){{0,3}}"
_CODE = r"(?:\d{4,6}|\d{2}-\d{3}|\d{3} \d{2}|\d{4}-\d{3}|\d{5}-\d{3,4}|\d{4} ?[A-Z]{2}|[A-Z]{1,2}\d{1,2}[A-Z]? ?\d[A-Z]{2}|[A-Z]{2} \d{5})"
_HOUSE = r"\d{1,5}(?:[ /-]?[A-Za-z](?![\w.])|/\d{1,3})?"
_CITY = rf"(?:,? ?{_CODE},? {_TOWN}(?: ?\([A-Z]{{2}}\))?|,? {_TOWN},? (?:[A-Z]{{2,3}},? )?{_CODE}|, {_TOWN}(?=[,.;]|$)|,? {_CODE})?"
_BOXES = r"(?:Postfach|BP|Apartado|Caixa Postal|Casella postale|Postbus)"
_WHERE = r"(?:Am|An der|Im|In der|Zum|Zur|Auf dem|Unter den)"
_EN_STREET = (
    r"(?:Street|St|Road|Rd|Lane|Ln|Close|Grove|Way|Avenue|Ave|Drive|Dr|Court|Ct|Place|Pl|Terrace|Crescent|Cres|Gardens|Square|Sq"
    r"|Hill|Row|Mews|Boulevard|Blvd|Parade|Pde|Highway|Hwy|Circle|Cir|Trail|Walk|Rise|View|Green|Park|Alley|Loop|Quay|Yard|Path)"
)
_BEFORE_STREET = (
    r"(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|cours|route|square|passage"
    r"|calle|c/|avenida|avda\.?|plaza|paseo|camino|carrera|calzada|rua|travessa|largo|praça|alameda|estrada|rodovia"
    r"|via|viale|piazza|corso|vicolo|strada|ul\.|al\.|os\.|pl\.|ulica|ulicy|aleja|osiedle|ulice|náměstí)"
)
_ROADS = r"(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee|ring|damm|ufer|steig|busch|hof|berg|straat|laan|plein|gracht|kade|dijk|singel|gatan|vägen|stigen|gränd|vej|gade)"

_ANY_WORD: WordCue = {}
_STREET_WORD = re.compile(rf"\b{_BEFORE_STREET}")
_ROAD_WORDS = spelled(_ROADS)
_FIRST_OF_CODE = re.compile(r"\d{1,5}(?:[ /-]?[A-Za-z]|/\d{1,3})?,? (?:\d|[A-Z])")
_STREET_LENGTH = 80  # more than stands before the number: a word, 48 characters, and what may be between
_TURKISH = any_of("Mah.", "Mahallesi", "Cad", "Sok", "Sk.", "Bulvarı")


def _street_before_a_number(seen: Glance) -> bool:
    """Between a word for a street and the number of a house is no other digit."""
    begin = 0
    for start in seen.digits:
        if _STREET_WORD.search(seen.folded, max(begin, start - _STREET_LENGTH), start):
            return True
        begin = start
    return False


def _road_before_a_number(seen: Glance) -> bool:
    return any(
        seen.folded.endswith(_ROAD_WORDS, 0, start - seen.text.startswith(" ", start - 1))
        for start in seen.digits
        if start
    )


def _number_before_a_code(seen: Glance) -> bool:
    text = seen.text
    return any(
        start >= 2 and text[start - 1] == " " and text[start - 2].isalnum() and _FIRST_OF_CODE.match(text, start)
        for start in seen.digits
    )


def _turkish_street(seen: Glance) -> bool:
    return "No" in seen.text and _TURKISH(seen)


def _address(pattern: re.Pattern[str], *, words: WordCue = _ANY_WORD, cue: Cue = always, scripts: bool = False) -> Rule:
    return Rule("address", pattern, words=words, cue=cue, digits=True, scripts=scripts)


def _name(pattern: re.Pattern[str], *, words: WordCue = _ANY_WORD, cue: Cue = always, scripts: bool = False) -> Rule:
    return Rule("name", pattern, words=words, cue=cue, scripts=scripts)


ADDRESSES = (
    _address(re.compile(rf"\bP\.?O\.? Box \d{{1,6}}{_CITY}"), words=keyed(["Box"], after=(" ",))),
    _address(re.compile(rf"\b{_BOXES} \d{{1,6}}{_CITY}"), words=keyed(spelled(_BOXES), after=(" ",))),
    _address(
        re.compile(
            rf"\b(?:(?:Flat|Apt\.?|Apartment|Unit|Suite) \w{{1,5}},? )?{_HOUSE},? (?:{_CAP} ){{1,4}}{_EN_STREET}\b\.?(?:,? (?:Apt\.?|Unit|Suite|Flat|#) ?\w{{1,5}})?{_CITY}"
        ),
        words=keyed(spelled(_EN_STREET), before=" "),
    ),
    _address(
        re.compile(rf"\b{_HOUSE}(?: bis| ter)?,? {_BEFORE_STREET} [^\n\d,;!?]{{2,48}}{_CITY}"),
        words=keyed(spelled(_BEFORE_STREET), before=" ", after=(" ",)),
    ),
    _address(
        re.compile(
            rf"\b(?i:{_BEFORE_STREET}) ?[^\n\d,;!?]{{2,48}},? ?(?:n[.º°o]{{0,2}} ?)?{_HOUSE}(?: m\. ?\d{{1,4}}|,? \d{{1,2}}[.ºª°]{{1,2}} ?\w{{0,4}}| - [^\n,;]{{2,24}})?(?:,? (?:apto|apt|piso|scala|int)\.? ?\w{{1,4}})?{_CITY}"
        ),
        cue=_street_before_a_number,
    ),
    _address(re.compile(rf"\b(?:{_WHERE} )?{_CAP}{_ROADS} ?{_HOUSE}{_CITY}"), cue=_road_before_a_number),
    _address(re.compile(rf"\b(?:{_CAP} ){{0,2}}(?i:{_ROADS}) {_HOUSE}{_CITY}"), cue=_road_before_a_number),
    _address(
        re.compile(rf"\b{_WHERE} {_CAP} {_HOUSE},? \d{{5}} {_TOWN}"),
        words=keyed(spelled(_WHERE), after=(" ",)),
        cue=lambda seen: seen.digit_count >= 6,
    ),
    _address(re.compile(rf"\b{_CAP}(?: {_CAP}){{0,2}} {_HOUSE},? {_CODE} {_TOWN}"), cue=_number_before_a_code),
    _address(
        re.compile(
            r"\b(?:г\. ?[^\n,]{2,30}, ?)?(?:ул\.|улица|улице|пр\.|пр-т|проспект|пер\.|переулок|наб\.|вул\.) ?[^\n,]{2,40}, ?(?:д\.|дом|буд\.)? ?\d{1,4}[а-яa-z]?(?:, ?(?:кв\.|квартира|корп\.) ?\d{1,4}){0,2}(?:, ?(?:г\. ?)?[А-ЯЁ][^\n,.!?]{2,30})?(?:, ?\d{6})?"
        ),
        cue=any_of("ул.", "улиц", "пр.", "пр-т", "проспект", "пер.", "переулок", "наб."),
        scripts=True,
    ),
    _address(
        re.compile(
            rf"\b(?:{_CAP} ){{1,3}}(?:Mah\.|Mahallesi|Cad\.|Caddesi|Sok\.|Sokak|Sk\.|Bulvarı)[^\n;!?]{{0,60}}?No ?[:.]? ?\d{{1,4}}[^\n;!?.]{{0,40}}"
        ),
        cue=_turkish_street,
    ),
    _address(
        re.compile(
            r"〒 ?\d{3}-?\d{4}\s?[^\n。、に]{0,40}(?:号|番地?|階|丁目\d{1,3})(?:\d{1,4}号室)?|[\u4e00-\u9fff]{2,4}[都道府県][\u3040-\u9fff]{1,16}[市区町村][\u3040-\u9fff\d-]{1,24}(?:号|番地|番|\d)"
        ),
        cue=any_of("〒", *"都道府県"),
        scripts=True,
    ),
    _address(
        re.compile(
            r"[\u4e00-\u9fff]{2,16}?[省市区县镇][\u4e00-\u9fff\d]{0,24}?(?:路|街|道|巷|大道|弄)\d{1,5}号(?:[\u4e00-\u9fff\d]{0,16}?(?:室|楼|栋|单元|层))?|[\u4e00-\u9fff]{1,8}(?:路|街|大道|巷)\d{1,5}号(?:\d{1,4}[室栋楼])?"
        ),
        cue=any_of("号"),
        scripts=True,
    ),
    _address(
        re.compile(
            r"[가-힣]{1,8}(?:시|도) ?(?:[가-힣]{1,8}(?:시|구|군) ?){0,2}[가-힣\d]{1,12}(?:로|길) ?\d{1,4}(?:-\d{1,3})?(?:번지|호)?"
        ),
        cue=any_of("로", "길"),
        scripts=True,
    ),
)

_TITLES = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madam|Professor|Doctor|Coach|Father|Sister|Rev|Auntie|Aunt|Aunty|Uncle|Grandma|Grandpa|Nana"
    r"|Herr|Herrn|Frau|Fräulein|Onkel|Tante|Oma|Opa|M|Mme|Mlle|Monsieur|Madame|Mademoiselle|Tonton|Tata|Maître|Sr|Sra|Srta|Señor|Señora"
    r"|Don|Doña|Tía|Tío|Profe|Sig|Signor|Signora|Dott|Prof\.ssa|Zia|Zio|Senhor|Senhora|Dona|Tia|Tio|Seu|meneer|mevrouw|juf|juffrouw|meester"
    r"|tante|oom|herr|fru|fröken|moster|faster|pan|pani|panią|panem|ciocia|wujek|pan[ií]|tetička|strýc|Bay|Bayan|г-н|г-жа|господин|госпожа|тётя|тетя|дядя|бабушка)"
)
_INTRODUCED = (
    r"(?:[Mm]y name is|[Mm]y name's|I am called|[Tt]his is|[Cc]all me|[Nn]amed|[Cc]alled|[Ii]ch hei(?:ß|ss)e|[Mm]ein Name ist|namens|[Jj]e m['’]appelle|[Jj]e suis"
    r"|[Mm]e llamo|[Mm]i nombre es|[Ss]oy|se llama|[Mm]i chiamo|si chiama|[Mm]eu nome é|[Cc]hamo-me|[Mm]e chamo|se chama|[Ii]k heet|[Mm]ijn naam is|heet|[Jj]ag heter|heter"
    r"|[Nn]azywam się|[Mm]am na imię|[Jj]menuji se|[Мм]еня зовут|зовут|[Мм]ене звати|[Bb]enim adım|[Aa]dım|namaku|nama saya"
    r"|op naam van|op naam|im Namen von|lautet auf|au nom de|a nombre de|intestat[oa] a|em nome de|on behalf of|in the name of|account of|held by|owner:?|holder:?"
    r"|właściciel|właścicielka|na nazwisko|на имя|[Nn]ame:|[Nn]ombre:|[Nn]om:|[Nn]ome:|[Nn]aam:|[Ii]mię i nazwisko:|[Ff]rom:|[Aa]ttn:?|c/o)"
)
_WHOSE = (
    r"(?:[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Mm]ein[e]?[nmr]?|[Mm]on|[Mm]a|[Mm]i|[Mm]ia|[Mm]io|[Mm]inha|[Mm]eu|[Mm]ijn|[Mm]in|[Mm]oja|[Mm]ój|[Мм]о[йя]) "
    r"(?:(?:best|old|little|big|ex|late|new|dear|beste|kleine|gro(?:ß|ss)e|meilleure?|petite?|melhor|mejor|migliore|beste) ){0,2}"
)
_KIN = (
    r"(?:friend|boyfriend|girlfriend|husband|wife|partner|brother|sister|son|daughter|mother|father|mum|mom|dad|cousin|nephew|niece|boss|teacher|tutor|neighbour|neighbor"
    r"|grandma|grandpa|grandmother|grandfather|dog|cat|colleague|roommate|flatmate|Freund|Freundin|Mann|Frau|Bruder|Schwester|Sohn|Tochter|Mutter|Vater|Chef|Chefin|Oma|Opa"
    r"|ami|amie|copain|copine|mari|femme|frère|sœur|soeur|fils|fille|mère|père|grand-mère|cousine|prof|amigo|amiga|novio|novia|marido|esposa|hermano|hermana|hijo|hija|madre|padre"
    r"|amico|amica|marito|moglie|fratello|sorella|figlio|figlia|nonna|nonno|avó|avô|namorad[oa]|irmã|irmão|filh[oa]|mãe|pai|vriend|vriendin|man|vrouw|broer|zus|zoon|dochter|oma|opa"
    r"|vän|kompis|bror|syster|son|dotter|przyjaciel|przyjaciółka|mąż|żona|brat|siostra|syn|córka|подруга|друг|муж|жена|брат|сестра|сын|дочь|мама|бабушка)"
)
_SIGNED = (
    r"(?:Sincerely|Regards|Best regards|Kind regards|Best wishes|Best|Cheers|Thanks|Yours|Yours truly|Love|Mit freundlichen Grü(?:ß|ss)en|Viele Grü(?:ß|ss)e|Liebe Grü(?:ß|ss)e|LG|MfG"
    r"|Cordialement|Bien à vous|Saludos|Un saludo|Atentamente|Cordiali saluti|Distinti saluti|Saluti|Atenciosamente|Cumprimentos|Groeten|Met vriendelijke groet|Hälsningar|Mvh"
    r"|Pozdrawiam|Z poważaniem|S pozdravem|С уважением|Saygılarımla)"
)
_NOBODY = r"(?!(?:I|The|A|An|And|But|Or|Not|No|Yes|Sorry|Very|So|It|He|She|We|You|They|My|In|On|At|For|From|To|Of|Ich|Der|Die|Das|Und|Je|Le|La|El|Los)\b)"

_KIN_BEFORE_WORDS = keyed(spelled(_KIN), before=" ", after=(" ", ", "))


def _kin_before_a_capital(seen: Glance) -> bool:
    """A name begins with a capital, or with d' or l' before one."""
    text = seen.text
    for word in seen.words:
        for needle in _KIN_BEFORE_WORDS.get(word, ()):
            at = text.find(needle)
            while at >= 0:
                following = text[at + len(needle) : at + len(needle) + 1]
                if following in "dl" or not following.islower():
                    return True
                at = text.find(needle, at + 1)
    return False


NAMES = (
    _name(
        re.compile(rf"(?<![\w.])(?:{_TITLES})\.? (?:(?:{_TITLES})\.? ){{0,2}}(?P<it>(?:El |Al |{_NOBODY}){_PERSON})"),
        words=keyed(spelled(_TITLES), after=(" ", ". ")),
    ),
    _name(
        re.compile(rf"(?<!\w){_INTRODUCED} (?:(?:{_TITLES})\.? ){{0,2}}(?P<it>{_NOBODY}{_PERSON})"),
        words=keyed(spelled(_INTRODUCED), after=(" ",)),
    ),
    _name(
        re.compile(rf"(?<!\w){_WHOSE}{_KIN},? (?P<it>{_NOBODY}{_PERSON})"),
        words=_KIN_BEFORE_WORDS,
        cue=_kin_before_a_capital,
    ),
    _name(
        re.compile(
            rf"(?<!\w){_SIGNED}[,!]?\s{{1,3}}(?:(?:{_TITLES})\.? ){{0,2}}(?P<it>{_NOBODY}{_PERSON})(?=\s*(?:$|[\n.,]))",
            re.MULTILINE,
        ),
        words=keyed(spelled(_SIGNED)),
    ),
    # A name before somebody's own address or number; both have been taken by now, and stand as NUL.
    _name(re.compile(rf"(?<!\w)(?P<it>{_NOBODY}{_CAP} (?:{_PART} ){{0,2}}{_CAP}),? [(<]?\x00"), cue=any_of("\x00")),
    _name(
        re.compile(
            r"(?<!\w)(?P<it>[А-ЯЁ][а-яё]{1,20}(?: [А-ЯЁ][а-яё]{1,24})?,? [А-ЯЁ][а-яё]{1,20}(?:ович|евич|ьич|овна|евна|ична|инична)\w{0,2})"
        ),
        cue=any_of("ович", "евич", "ьич", "овна", "евна", "ична", "инична"),
        scripts=True,
    ),
    _name(
        re.compile(r"(?:我叫|我是|名字(?:是|叫)|名叫|叫做|联系人[::]?)(?P<it>[\u4e00-\u9fff]{2,4})(?=[,。,.!!\s]|$)"),
        cue=any_of("我叫", "我是", "名字", "名叫", "叫做", "联系人"),
        scripts=True,
    ),
    _name(
        re.compile(r"(?<![\u4e00-\u9fff])(?P<it>[\u4e00-\u9fff]{1,3})(?:先生|女士|小姐|老师|阿姨|叔叔)"),
        cue=any_of("先生", "女士", "小姐", "老师", "阿姨", "叔叔"),
        scripts=True,
    ),
    _name(
        re.compile(
            r"(?P<it>(?![お皆母父兄姉客神])[\u4e00-\u9fff\u30a0-\u30ff]{1,6})(?:さん|ちゃん|くん|君|さま|様|先輩)"
        ),
        cue=any_of("さん", "ちゃん", "くん", "君", "さま", "様", "先輩"),
        scripts=True,
    ),
    _name(
        re.compile(r"(?:私は|僕は|名前は)(?P<it>[\u3040-\u9fff]{2,8})(?:です|と申します|といいます)"),
        cue=any_of("私は", "僕は", "名前は"),
        scripts=True,
    ),
    _name(
        re.compile(
            r"(?<![가-힣])(?P<it>[김이박최정강조윤장임한오서신권황안송류홍전고문손양배백허유남심노하곽성차주우구민][가-힣]{1,2}) ?(?:씨|님|이모|삼촌|선생님|누나|언니|오빠|형|할머니|할아버지)"
        ),
        cue=any_of("씨", "님", "이모", "삼촌", "누나", "언니", "오빠", "형", "할머니", "할아버지"),
        scripts=True,
    ),
    _name(
        re.compile(r"(?:제 이름은|저는) (?P<it>[가-힣]{2,4})(?:입니다|이에요|예요|이라고|라고)"),
        cue=any_of("제 이름은 ", "저는 "),
        scripts=True,
    ),
    _name(
        re.compile(
            r"(?:सहेली|दोस्त|भाई|बहन|पति|पत्नी|श्री|श्रीमती|मेरा नाम) (?P<it>(?!(?:ने|से|को|का|की|के|और|है)(?:\s|$))[\u0900-\u097f]{2,20})"
        ),
        cue=any_of("सहेली", "दोस्त", "भाई", "बहन", "पति", "पत्नी", "श्री", "मेरा नाम"),
        scripts=True,
    ),
    _name(
        re.compile(
            r"(?:اسمي|صديقتي|صديقي|أخي|أختي|السيد|السيدة|الأستاذ|الأستاذة|الدكتور|الدكتورة) (?P<it>[\u0620-\u064a]{3,15})"
        ),
        cue=any_of("اسمي", "صديق", "أخي", "أختي", "السيد", "الأستاذ", "الدكتور"),
        scripts=True,
    ),
)
