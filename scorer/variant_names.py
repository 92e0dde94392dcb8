"""Names for the characters of variants, by where they are common and whom they are given to. A table, no logic.

A character gets a name from the row of the old one, so that the register of a dialogue stays as it is. New names are no
common words of English or German.
"""

__all__ = ["FIRST_NAMES", "MACHINES", "NEUTRAL", "ROLES", "SURNAMES", "TITLES"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TABLE = """
# English-speaking countries
Amelia Brenda Cecilia Deirdre Doris Eilis Ellie Emily Emma Esther Imogen Izzy Jen Jess Jessica Olivia Phoebe
Rachel Tessa Vanessa Abigail Bridget Caroline Eleanor Fiona Georgina Harriet Joanna Lydia Naomi Philippa
Rebecca Sheila Tabitha Winifred Danielle Moira Nerys Sinéad Blanche Miriam Freya

Andrew Arthur Barty Ben Bennett Brandon Elijah Elliot Freddy Gabe Grayson Harold Harvey Jackson Jamal James
Jefferson Jonny Malcolm Mike Oliver Reggie Richard Richie Robert Samuel Scott Sean Tyler Alfred Benjamin
Colin Desmond Edmund Gareth Graham Howard Ian Kenneth Leonard Martin Nigel Patrick Ronald Stephen Timothy
Bernard Craig Cyril Eric Fergus Gideon Hamish Kieran Neil Preston Royce Rupert Wyatt

# Romance languages
Alessandra Claudia Elise Eva Julia Lorelei Sophia Antonella Beatriz Carmen Elena Francesca Giulia Isabella
Lucía Mathilde Noémie Ottavia Paola Rosalía Simona Valentina Clémence Delphine Graciela Isaura Madeleine
Margaux Montserrat Rocío Ximena Yamila

Alejandro Felix Jacques Julian Luca Marcus Rafael Remy Sebastian Alberto Bruno Diego Emilio Fabio Gaspard
Hugo Ignacio Laurent Matteo Octavio Paolo Raúl Sergio Thibault Vittorio Carmelo Eusebio Henrique Mateo
Raniero Rigoberto Álvaro

# Germany, the Low Countries, the North
Henrietta Anneli Astrid Birgit Dagmar Elfriede Freda Greta Hedda Ingrid Karin Liesel Maren Ottilie Sigrid
Solveig Ulrike Wiebke Birthe Hiltrud Leonie Linnea Lotte Ulla

Anders Bjarne Detlef Eskil Friedrich Gunnar Holger Jürgen Lennart Magnar Norbert Ole Rainer Sören Torsten
Ulrich Wolfgang Henning Johan Joost Petrus Torgeir

# Slavic and Baltic languages, Hungary, Romania
Sonya Anastasia Bojana Danuta Halina Ilona Jelena Katarzyna Ludmila Magda Natalia Olena Radka Svetlana
Tatjana Vesna Zofia Dunja Galina Ilinca Jadwiga Maja Vlasta Zsófi Zuzana

Nikolai Bogdan Dmitri Goran Ivan Janko Kazimir Lubomir Miroslav Oleg Piotr Radoslav Sándor Tadeusz Vladimir
Yaroslav Zoltan Bence Florin Leszek Radim Stoyan Vasil Vytautas Zbigniew

# Greece, Turkey, the Arab world, Iran, the Caucasus
Laila Amina Aylin Despina Elif Fatima Hanan Jamila Leyla Maryam Nadia Rania Salma Yasmin Zeynep Berfin Defne
Eleni Farida Hiba Nigar Rima Samia Shirin Stavroula

Ahmed Bahram Cemal Davit Emre Faisal Giorgi Hassan Ibrahim Karim Mehmet Nabil Omar Rashid Stavro Tariq Yusuf
Emir Farouk Kaan Petro Sherif Tanvir Vakhtang Zayd

# South Asia
Anjali Deepika Gayatri Ishani Kavita Lakshmi Meera Nandini Padma Radhika Sunita Usha Vidya Rukmini

Adi Arjun Chandra Dinesh Gopal Hari Jayant Mohan Naveen Prakash Rohan Suresh Vikram Devan Vasuki

# East and South-East Asia
Mari Akiko Chiyo Eun-ji Hyun-ah Keiko Linh Mei-ling Naoko Sakura Soo-jin Xiaoli Yuna Kazuko Sayuri Putri
Anong

Akira Bao-long Daichi Haruto Jae-won Kenta Min-ho Nobuo Ryota Seung-min Takeshi Wei-ming Zhihao Beom-su
Hiroshi Kenji Khoa Wayan

# Africa
Abena Chiamaka Dalila Efua Folasade Kagiso Lindiwe Makena Nkechi Sade Thandeka Wanjiru Zainab Adaeze Chidera
Ifeoma Hodan

Abebe Chinedu Dumisani Ekow Jabari Kwame Lwazi Mandla Obinna Sizwe Tendai Babajide Kamau Sipho Yaw
"""
FIRST_NAMES: tuple[tuple[str, ...], ...] = tuple(
    tuple(word for line in row.splitlines() if not line.startswith("#") for word in line.split())
    for row in _TABLE.strip().split("\n\n")
)
"""One row is one group of names that stand for one another."""

NEUTRAL = _words(
    """
    Ariel Kiran Sasha Noor Robin Jamie Lou Nikita Tal Yuri Ren Ashley Dominique Andrea Shannon Kai Eden
    Imani
    """
)
"""For characters whose name is in no row."""

SURNAMES = _words(
    """
    Abara Bellini Castellano Dembélé Eriksen Fontaine Goldmann Hakimi Ivanova Jankowski Kowalska Lindgren
    Moreau Nakamura Okafor Pereira Quintero Rahimi Sandoval Takahashi Ueno Valdivia Whitaker Yamada Zeller
    """
)

MACHINES = _words(
    """
    ORION-4 VEGA-2 LYRA-7 TALON-3 NIMBO-8 KEPLER-6
    """
)
"""For names in capitals or with digits."""

TITLES = frozenset(
    _words("""
    dr mr mrs ms miss mme prof professor rev reverend herr frau señor señora signor signora monsieur madame
    sir detective officer captain sergeant judge dottoressa dottor doctor doktor mister
    """)
)
"""What a surname follows."""

ROLES = frozenset(
    _words("""
    adviser agent assistant attendant aunt baker bartender boss boy bride brother buyer caller chair chatbot
    chef chief child choirmaster clerk client coach colleague companion conductor cook counsellor counselor
    cousin coworker customer dad daughter director dog driver editor employee engineer examiner father
    florist friend girl granddad grandfather grandma grandmother grandpa groom guard guest guests guide
    headmaster headmistress host hostess husband instructor interviewer journalist kid lady landlady
    landlord lawyer leader librarian machine maestra maestro man manager mayor mechanic meister moderator
    mom mother mum narrator neighbor neighbour nurse operator owner parent partner passenger passer-by
    patient pharmacist pilot player policeman priest principal radio receptionist reporter robot sales
    salesman seller shopkeeper sister soldier son speaker staff stranger student supervisor teacher
    technician teenager temp therapist trainer tutor uncle user valuer visitor voice volunteer waiter
    waitress wife woman worker arzt ärztin bruder chefin freund freundin gast kollege kollegin kunde kundin
    lehrer lehrerin mann mutter nachbar nachbarin oma opa patientin schüler schülerin schwester sohn tante
    tochter vater verkäufer verkäuferin onkel
    """)
)
"""Heads of dialogue lines that name no character but a part that somebody plays."""
