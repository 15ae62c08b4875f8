"""What the words of the trade mean: one word for the many that people use for one thing.

People write "won't launch", "does not open" and "refuses to start"; they say Kyocera and mean the
copier, and SRV-SQL01 and mean a server. Flows and intakes alike are brought to the same words
before anything is weighed: ``_MEANINGS`` gives the words and expressions that count as another,
``_SIGNS`` recognises names and codes by their shape, and ``IDLE`` words fall away, so that "my
printer is not really working" reads as "printer not work". Other words stay themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from flowpilot_desktop.flows.wording import word_set

_MEANINGS: Final = """
# what is wrong
not: no, doesnt, dont, cant, cannot, couldnt, wont, wouldnt, isnt, arent, wasnt, werent, havent,
  hasnt, hadnt, didnt, aint, dosent, doesn, unable, not able, refuse, refuse to, fail, fail to,
  failure, without, nothing, never, stop, quit, no longer, gave up, given up, give up, ceased,
  nicht, kein, keine, keinen, keiner, nichts
nobody: noone, no one, none of us, none of the, none of them, everyone, everybody, all users, all
  staff, whole office, entire office, whole company, entire company, all of us, whole team, whole
  site, many users, several users, multiple users, niemand, keiner kann
work: function, functioning, functional, operate, funktioniert, funktionieren
open: launch, start, start up, load, come up, fire up, öffnet, startet
boot: power up, power on, turn on, switch on, startup, bootup
freeze: unresponsive, lock up, not respond, seize up, freeze up, hängt
stuck: hang, hang up, stall, halt, jam
crash: close itself, close by itself, close on its own, force close, exit, quit unexpectedly, crash
  out, terminate, throw out of, vanish from the screen, stürzt, cierra
dead: die
signin: login, logon, log in, log on, log into, log onto, sign in, sign on, sign into, signon, get
  into my account, get into my computer, get into windows, anmelden, anmeldung, iniciar sesión
signout: log out, log off, sign out, logoff, logout
arrive: receive, come in, come through, get through, turn up, come to my inbox, empfangen
gone: vanish, disappear, missing, lose, not there, no longer there, not show up, not appear, not
  show, not list, not visible, nowhere to be found, go away, not here, fehlt, fehlen, verschwunden,
  weg
drop: disconnect, cut out, cut off, kick off, kick out, fall off, lose connection, lose signal,
  lose the connection, throw off, drop off, drop out, bricht, go offline, fall out
connect: connection, connectivity, join, hook up, verbindet, verbinden, verbindung, conectar,
  conexión
slow: slowness, sluggish, lag, laggy, slower, takes age, take age, take forever, take for ever,
  take so long, take long, take a long time, take very long, crawl, underperform, like treacle,
  need forever, need ages, ages to, forever to, performance, langsam, lento, lenta, träge, ewig
poweroff: switch off, turn off, power off, shut off, shut down, go off, power down, switch itself
  off, turn itself off, shut itself down, shut itself off, cut off power, shutdown, switch itself
restart: reboot, power cycle, neustart, boot loop, restart itself, reboot itself
byitself: by itself, on its own, by themselves, on their own, itself, randomly, random, without
  warning, out of the blue, out of nowhere, unexpectedly, unexpected, spontaneously, all of a
  sudden, for no reason, von selbst
full: run out of, run out of space, run out of room, out of space, out of room, out of storage, no
  space, no room, no more space, not enough space, not enough room, not enough storage, not enough
  disk space, insufficient space, insufficient storage, low space, low disk space, low on space,
  space low, low on storage, at its limit, over limit, over the limit, reach its limit, reach the
  limit, reach limit, reach its maximum, reach the maximum, hit its maximum, hit its limit, hit the
  limit, hit its limits, at the limit, maximum size, maximum, size limit, exceed, over quota,
  quota, almost out of space, no free space, out of free space, space left, space free, free space,
  voll, lleno
blank: white page, blank page, empty page, white screen, blank screen, weiß
flicker: flash, flickering
weird: strange, odd, funny, peculiar, unusual
denied: not authorise, not authorize, not allow, reject, forbidden, unauthorised, unauthorized, not
  permit, not have permission, no permission, not have access, no access, not have the rights, no
  rights, kein zugriff, keinen zugriff
expire: expiry, run out, abgelaufen, caducado, out of date, lapse
forget: vergessen, olvidé, not remember, cant remember
powercut: power cut, power outage, power failure, blackout, power loss, lost power, electricity,
  stromausfall
# things
mail: email, mails, correo, correos, e mail
mailbox: inbox, postfach, buzón, mail box
computer: pc, laptop, notebook, desktop, workstation, machine, thinkpad, latitude, elitebook,
  probook, optiplex, rechner, ordenador, portátil, chromebook, zbook
printer: drucker, impresora, mfc, laserjet, officejet, deskjet, plotter, zebra, dymo
print: druckt, drucken, druck, imprimir, imprime, printout, print out
copier: mfp, photocopier, multifunction, multifunctional, copy machine, konica, minolta, ricoh,
  bizhub, canon, kyocera, xerox, sharp, taskalfa, imagerunner, brother, epson, lexmark, oki, multi
  function
scan: scanner, scannen, scannt, escanear, escáner, escaneo, scan2mail, scan2email
server: servidor, fileserver, hypervisor, hyperv, vmware, esxi, proxmox, hyper v, virtual machine,
  vm, vms, domain controller, poweredge, proliant, domaincontroller
nas: synology, qnap, diskstation, truenas, readynas
terminalserver: terminal server, rds, session host, remote app, remoteapp, citrix, rdweb, avd,
  virtual desktop, remote desktop server, rds farm, rdsh
rdp: remote desktop, remotedesktop, mstsc, remotedesktopverbindung, remote session, escritorio
  remoto, remote desktop connection, remote into, remote in, remote on, remote onto, remote to my
  computer, remote to my pc, remote access to my pc
vpn: anyconnect, globalprotect, forticlient, openvpn, wireguard, sonicwall, netextender, zscaler,
  sslvpn, ssl vpn, ikev2, l2tp, ipsec, pulse secure, ivanti secure, remote access client, fortinet,
  tunnel, secure gateway
wifi: wlan, wireless, ssid, hotspot, access point, wi fi, wireless network, wifi network
internet: broadband, fibre, fiber, leased line, isp, dsl, wan
network: lan, netzwerk
wired: ethernet, network cable, lan cable, cable, cabled, patch cable
router: modem, fritzbox, gateway
website: web site, webpage, web page, webseite, seite, página, url, web portal, internet page,
  internet site, site, portal, homepage
browser: chrome, edge, firefox, safari, navegador, internet explorer
popup: pop up, advert, ads, advertisement, advertising, werbung, pop ups
cert: certificate, ssl, tls, zertifikat, certificado, https
notsecure: not secure, not private, isnt private, unsafe, untrusted, not trusted, insecure, not
  safe, not trust
app: application, program, programme, software, sage, quickbooks, autocad, revit, datev, lexware,
  photoshop, indesign, acrobat, excel, word, powerpoint, solidworks, xero, sap, navision, erp, crm,
  programm, programa, spreadsheet, exe, illustrator, bluebeam, sketchup, archicad, visio, onenote,
  cad
update: patch, upgrade, aktualisierung, actualización, windows update, wsus, feature update,
  cumulative update, aktualisierungen
undo: undoing, revert, roll back, rollback
mac: macbook, imac, macos, osx, mac mini, mac book, mac os, apple computer, macbook pro, macbook
  air
headset: headphone, earphone, earbud, airpod, jabra, plantronics, sennheiser, epos
mic: microphone, mikrofon, micrófono
sound: audio, ton, sonido
camera: webcam, cam, kamera, cámara
deskphone: desk phone, office phone, voip, sip, ip phone, yealink, snom, polycom, grandstream,
  gigaset, mitel, avaya, 3cx, telephone, telefon, telefone, teléfono, landline, phone line, office
  line, phone system, switchboard, pbx, dect, cordless phone, hunt group, dial tone, dialtone,
  phone on the desk, phone on my desk, telefonanlage, voip phone, desktop phone
mobile: cell, cellphone, smartphone, iphone, android, handy, móvil, cell phone, mobile phone
meeting: video call, conference, videoconference, conference call, video conference, zoom, webex,
  teams call, teams meeting
dock: docking, docking station, dockingstation, thunderbolt, port replicator, displaylink, usbc,
  usb c, docking port
monitor: screen, display, bildschirm, pantalla, bildschirme, monitore
external: second, 2nd, extra, other, two, zweiter, segunda, both, dual
bounce: undeliver, undeliverable, undelivered, ndr, delivery fail, delivery failure, unzustellbar,
  mailer daemon, postmaster, send back, delivery status notification, not be delivered, not
  deliver, undelivery, non delivery, nondelivery, return to sender, nicht zugestellt, returned
  mail, mail returned, get returned, returned to me
spam: junk, spam folder, junk folder, junk mail, spamfolder
phish: phishing, scam, scammer, fraud, fraudulent, spoof, dodgy, suspicious, malicious, bogus,
  fishy, verdächtige, verdächtig, impersonate, fake, imposter, betrug, gefälschte, sospechoso,
  legit, genuine, impersonation, scammed
hacked: hijack, compromise, hack, hacker, breach, gehackt, ransomware, virus, malware, trojan
sharedmailbox: shared mailbox, team mailbox, group mailbox, department mailbox, common mailbox,
  shared mail, sammelpostfach, funktionspostfach, shared account mailbox, departmental mailbox,
  shared mail account
sendas: send as, send on behalf, on behalf, behalf, send from, send in the name
permission: access, right, permissions, berechtigung, zugriff, privilege, acceso, entitlement
drive: laufwerk, unidad
networkdrive: network drive, shared drive, mapped drive, netzlaufwerk, server drive, shared folder,
  network folder, network share, share drive, file share, fileshare, common drive, group drive,
  drive letter, unc, network path, company drive, team drive, mapped network drive, network
  location, shared network drive, department folder, drive mapping, public drive
disk: platte, festplatte, hard drive, hard disk, ssd, harddrive, harddisk, disco, partition, hdd,
  volume, system drive
onedrive: one drive
sync: synchronise, synchronize, synchronisiert, synchronisation, synchronization
clock: uhrzeit, uhr, reloj, system time, date and time, time and date
bluescreen: blue screen, bsod, bugcheck, stop code, blauer bildschirm, pantalla azul, sad face,
  minidump, blue page, blue error screen, blue death, screen of death, frown face
recoverykey: recovery key, bitlocker key, bitlocker recovery, wiederherstellungsschlüssel, recovery
  code, recovery screen, bitlocker screen, recovery password, bitlocker code
newhire: new starter, starter, new hire, new employee, new colleague, new joiner, joiner, new user,
  new staff, new team member, first day, just start, intern, trainee, apprentice, temp, new
  manager, new accountant, neuer mitarbeiter, neue mitarbeiterin, new recruit, new person, start
  today, start this week, start last week, start on monday, start monday, join us, joined the team,
  newcomer, contractor, neue kollegin, neuer kollege, recently start, newly hire
password: passwort, kennwort, contraseña, pw, pwd, pass word, passphrase, credential, login detail,
  sign in detail
lock: gesperrt, bloqueada, bloqueado, lock out, lockout, block
mfa: 2fa, authenticator, two factor, second factor, two step, 2 factor, multi factor, multifactor,
  2 step, verification code, security code, sms code, text code, login code, code app,
  authentication app, authenticator app, microsoft authenticator, otp, one time code, approval
  request, approval prompt, approval screen, approve sign in, approve the sign in, approve login,
  approve the login, approve signin, sign in request, login request, sign in approval, code by
  text, text message with code, push notification, six digit code, 6 digit code, number matching,
  duo, totp, yubikey, verification text, verification sms, confirm the sign in, confirm the login,
  token, zweiter faktor, verification, security key, second step, twofactor
queue: spool, spooler, warteschlange
account: konto, cuenta, username, user name, userid
click: press, tap, click on
dns: nslookup, name resolution, namensauflösung, nxdomain, dns server, resolve name, resolve
  hostname
hostname: host name, fqdn, by name, server name, machine name, internal name, names
byip: by ip, ip address, ip
deliver: delivery, delivered
"""

_SIGNS: Final = tuple(
    (re.compile(pattern), f" {instead} ")
    for instead, pattern in (
        ("networkdrive", r"\\\\[\w.$-]+(?:\\[\w .$-]+)?"),
        ("dns", r"\b(?:dns_probe\w*|err_name_not_resolved)"),
        ("cert notsecure", r"\b(?:net::)?err_(?:cert|ssl)\w*"),
        ("website not", r"\berr_(?:internet|connection|address)\w*"),
        ("kerberos clock", r"\bkrb\w*skew\b"),
        ("networkdrive", r"\b(?:0x80070035|0x800704cf)\b"),
        ("bluescreen", r"\b(?:0xc00000e9|0xc000021a|0xc000014c|0xc0000098|0xc0000225)\b"),
        ("app error0xc", r"\b0xc0000\w+\b"),
        ("updatecode", r"\b0x(?:800f|8024|8007)\w+\b"),
        ("kb", r"\bkb ?\d{6,7}\b"),
        ("windowsversion", r"\b(?:1[01] )?2[2-5]h2\b"),
        ("signin", r"\baadsts\d+\b"),
        ("bounce", r"\b[45]\d\d[ -]#?[45]\.\d{1,2}\.\d{1,3}\b|\b55[0-4]\b|\b5\.[17]\.\d{1,3}\b"),
        ("bluescreen", r"\b(?:[a-z]{2,}_){2,}[a-z]{2,}\b|\bwhea\w*|\bntoskrnl\w*"),
        ("bluescreen poweroff", r"\bkernel-power\b"),
        ("noaddress", r"\b169\.254[\d.]*"),
        ("cdrive disk", r"\bc: ?\\?|\bc[ -]drive\b|\bdrive c\b|\blaufwerk c\b"),
        (
            "networkdrive",
            (r"\b[f-z]: ?\\?(?: ?drive\b)?|\b[f-z][ -]drive\b|\b(?:drive|laufwerk) [f-z]\b"),
        ),
        ("disk drive", r"\b[de]: ?\\?|\b[de][ -]drive\b|\b(?:drive|volume) [de]\b"),
        ("terminalserver", r"\b(?:rds|ts|term|rdsh|citrix|ctx)[-_]?\d+\b"),
        (
            "server",
            (
                r"\b(?:srv|server|sql|dc|hv|esx|fs|file|app|db|vm|exch|web)[-_]?(?:\w+[-_]?)"
                r"?\d+\b"
            ),
        ),
        ("server", r"\bsrv[-_]\w+"),
        ("printer server", r"\b(?:prn|print|prt)[-_]?(?:srv)?\d+\b"),
        ("router internet", r"\b(?:fw|rtr|wan)[-_]?\w*\d+\b"),
        ("wifi", r"\b(?:ap)[-_]\w*\d+\b"),
        ("computer", r"\b(?:pc|ws|lt|nb|wks|desktop|laptop)[-_]?\w*\d+\b"),
        ("dock", r"\bwd\d\d\w?\b|\btb1[568]\b"),
        ("recoverykey", r"\b48[ -]?(?:digit|number|figure|char)\w*"),
        (
            "slow",
            (
                r"\b(?:takes?|took|taking|needs?) (?:(?:about|over|up to|nearly|at least|a good|"
                r"more than|almost|me|him|her|us|like|well over|roughly) )*(?:[\w-]+ )"
                r"{0,3}?(?:minutes?|mins?|hours?|ages|forever|eternity)\b"
            ),
        ),
        (
            "slow cpu",
            (
                r"\b(?:cpu|memory|ram|disk) (?:usage |utili[sz]ation |load )?(?:is |at |> ?|"
                r"above |over )*(?:9\d|100) ?%"
            ),
        ),
    )
)

_SIGNED: Final = re.compile(
    r"[\d\\_:%]|drive|laufwerk|volume|\bt(?:ak|ook)|\bneed|srv|kernel-p|whea|ntos"
)
"""What a text has something of in which one of the signs may be."""

_IRREGULAR: Final = {
    form: word
    for word, forms in re.findall(
        r"(\w+): ([\w\s]+)",
        """freeze: frozen froze; hang: hung sit sits sitting; lose: lost; send: sent; come: came;
        go: went goes; break: broke broken; forget: forgot forgotten; take: took taken;
        give: gave given; show: shown; hear: heard; see: seen saw; steal: stolen stole;
        throw: thrown threw; fall: fell fallen; ring: rang rung; keep: kept; notice:
        note notes; die: died dying; choose: chose; write: wrote written; run: ran;
        website: site sites; newspaper: news; get: got gotten; mean: meant""",
    )
    for form in forms.split()
}

_IDLE_WORDS: Final = word_set(
    """a an the my our your his her their its it this that these those is are was were be been being
    am has have had having do does did will would could can may might should to of at for in on
    with i we you he she they them him us and or just still again also now today very really so
    quite more anymore any always constantly suddenly please pls already only even all im ive were
    theres its some get keep try as-is completely totally when while if das der die
    den dem ein eine ist sind hat haben mein meine im auf mit und el la los las un una de en mi está
    se al del"""
)

_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST_STEM: Final = 3
_DOUBLED: Final = 4
_ADVERB: Final = 6
_UNTOUCHED: Final = ("ss", "us", "is")


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """Return a word without its commonest English endings, irregular forms made regular."""
    word = _IRREGULAR.get(word, word)
    if word.endswith("s") and not word.endswith(_UNTOUCHED) and len(word) > _SHORTEST_STEM:
        word = word[:-1]
    if word.endswith("ie") or (word.endswith("ied") and len(word) > _DOUBLED):
        word = word.removesuffix("d").removesuffix("ie") + "y"
    elif word.endswith("ing") and len(word) - 3 >= _SHORTEST_STEM:
        word = word[:-3]
    elif (word.endswith("ed") and not word.endswith("eed") and len(word) - 2 >= _SHORTEST_STEM) or (
        word.endswith("ly") and len(word) >= _ADVERB
    ):
        word = word[:-2]
    if word.endswith("e") and not word.endswith("ee") and len(word) > _SHORTEST_STEM:
        word = word[:-1]
    if len(word) > _DOUBLED and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word


def raw_stems(text: str) -> tuple[str, ...]:
    """Return the stems of a text's words in order; names and codes as what they are."""
    folded = text.casefold().replace("\u2019", "'")
    if _SIGNED.search(folded) is not None:
        for pattern, instead in _SIGNS:
            folded = pattern.sub(instead, folded)
    folded = folded.replace("'", "").replace("wi-fi", "wifi").replace("e-mail", "email")
    return tuple(stem(word) for word in _WORD.findall(folded))


IDLE: Final = frozenset(stem(word) for word in _IDLE_WORDS)
"""Stems of words that fall away before phrases are looked for."""


Expressions = dict[str, tuple[tuple[tuple[str, ...], str], ...]]


def _expressions() -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield every expression's stems with the stem of its meaning."""
    text = "\n".join(line for line in _MEANINGS.splitlines() if not line.startswith("#"))
    for meaning, said in re.findall(r"^(\w+):((?:.|\n )*)", text, re.MULTILINE):
        for expression in (meaning, *said.split(",")):
            whole = tuple(stem(word.replace("'", "")) for word in _WORD.findall(expression))
            if whole:
                yield whole, stem(meaning)


def _by_first(pairs: Iterable[tuple[tuple[str, ...], str]]) -> Expressions:
    """Return expressions by their first stem, the longest first; the first meaning stays."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for whole, meaning in pairs:
        found.setdefault(whole[0], {}).setdefault(whole, meaning)
    return {
        first: tuple(sorted(several.items(), key=lambda item: -len(item[0])))
        for first, several in found.items()
    }


_AS_WRITTEN: Final = _by_first(_expressions())


def _replaced(stems: Iterable[tuple[str, int]], table: Expressions) -> list[tuple[str, int]]:
    """Return stems with expressions replaced by their meaning; idle words are left out."""
    said = list(stems)
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(said):
        length, meaning = 1, said[at][0]
        for whole, instead in table.get(meaning, ()):
            if tuple(word for word, _ in said[at : at + len(whole)]) == whole:
                length, meaning = len(whole), instead
                break
        if meaning not in IDLE:
            found.append((meaning, said[at][1]))
        at += length
    return found


def _inner() -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield the expressions of several words as they read once their own words are replaced."""
    for whole, meaning in _expressions():
        if len(whole) > 1:
            single = [word for part in whole for word, _ in _replaced([(part, 0)], _AS_WRITTEN)]
            if len(single) > 1:
                yield tuple(single), meaning


_WITHOUT_IDLE: Final = _by_first(_inner())

KNOWN: Final = frozenset(word for whole, _ in _expressions() for word in whole)
"""Stems of every word that some expression has."""


def meanings(stems: Iterable[str]) -> list[tuple[str, int]]:
    """Return what stems mean, each with the place where it began; idle words are left out."""
    once = _replaced(((word, place) for place, word in enumerate(stems)), _AS_WRITTEN)
    return _replaced(once, _WITHOUT_IDLE)
