"""How risky a command is, judged by what it says and not by what a model calls it.

``risk_of`` reads a command part by part (lines, ``;``, ``&&``, pipes). What is known to delete,
format, reset or overwrite is destructive; what reaches many machines or accounts changes many; a
command whose every part is known to look and not touch is read-only; everything else changes one.
Nothing is executed and no shell is fully parsed here, so in doubt the higher risk is the answer: a
card may warn too much, never too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowpilot_desktop.core.session import Risk

_ORDER = (Risk.READ_ONLY, Risk.CHANGES_ONE, Risk.CHANGES_MANY, Risk.DESTRUCTIVE)

# Within one part of a command line.
_HERE = r"[^|;&\n]*"

_DESTRUCTIVE_FORMS = (
    # PowerShell verbs that take away. A format of output, a variable and the screen are harmless.
    (
        r"\b(?:remove|clear|uninstall|reset|initialize|unregister|revoke|dismount)-"
        r"(?!variable\b|host\b|clipboard\b|dnsclientcache\b)[a-z]\w*"
    ),
    r"\bformat-volume\b",
    r"\bdisable-computerrestore\b",
    r"\b(?:set|add)-content\b",
    r"\bset-(?:partition|disk|volume)\b",
    # Deleting files, in any shell.
    r"(?<![\w-])(?:rm|rmdir|rd|ri|del|erase|unlink|shred)(?![\w-])",
    rf"\bfind\b{_HERE}\s-(?:delete|exec\s+rm)\b",
    rf"\b(?:robocopy|xcopy)\b{_HERE}/(?:mir|purge|move|mov)\b",
    rf"\brsync\b{_HERE}--(?:delete|remove)",
    r"\.delete\s*\(",
    r"::delete\s*\(",
    r"\bcipher\s+/w",
    # Disks, volumes, boot, backups.
    r"\b(?:mkfs|wipefs|fdisk|parted|sgdisk|diskpart|bootrec|systemreset|ntdsutil|format\.com)\b",
    r"\bformat\s+[a-z]:",
    rf"\bdd\b{_HERE}\bof=",
    r">\s*/dev/(?:sd|nvme|disk|hd)",
    rf"\bdiskutil\b{_HERE}\b(?:erase|partition|delete)\w*",
    r"\b(?:vssadmin|wbadmin)\s+(?:delete|resize)\b",
    r"\bbcdedit\s+/(?:delete\w*|import|set)\b",
    rf"\bmanage-bde\b{_HERE}\s-(?:off|forcerecovery)",
    rf"\bfsutil\b{_HERE}\b(?:delete\w*|setzerodata)\b",
    r"\btmutil\s+(?:delete|thinlocal)\w*",
    # Accounts, services, tasks, registry, policies, logs.
    rf"\bwmic\b{_HERE}\bdelete\b",
    r"\breg(?:\.exe)?\s+(?:delete|restore|unload)\b",
    rf"\bnet(?:1|\.exe)?\s+(?:user|localgroup|group|share|use)\b{_HERE}/del(?:ete)?\b",
    r"\bnetdom\s+remove\b|\bdsrm\b|\buserdel\b|\bgroupdel\b|\bdseditgroup\b",
    rf"\b(?:schtasks|cmdkey)\b{_HERE}/delete\b",
    r"\bsc(?:\.exe)?\s+delete\b",
    rf"\b(?:dscl|sysadminctl|profiles)\b{_HERE}(?:-delete|remove)",
    r"\bwevtutil\s+(?:cl|clear-log)\b",
    rf"\bnetsh\b{_HERE}\b(?:reset|delete)\b",
    rf"\brepadmin\b{_HERE}/removelingeringobjects",
    # Software and images.
    (
        rf"\b(?:apt|apt-get|yum|dnf|brew|winget|choco|pip3?|npm)\s+{_HERE}"
        r"\b(?:remove|purge|uninstall|autoremove)\b"
    ),
    rf"\bmsiexec\b{_HERE}/(?:x|uninstall)",
    rf"\bdism\b{_HERE}/(?:remove|reset|apply|startcomponentcleanup)",
    rf"\bpnputil\b{_HERE}/delete",
    r"\bsfc\s+/revert\b|\bwsreset\b",
    # Databases, version control, containers, clouds.
    r"\b(?:drop|truncate)\s+(?:table|database|schema|user|login|index)\b|\bdelete\s+from\b",
    r"\bgit\s+(?:clean|reset\s+--hard|push\b.*(?:\s-f\b|--force)|branch\s+-D)",
    (
        rf"\b(?:docker|podman|kubectl|az|aws|gcloud|gh|terraform)\b{_HERE}"
        r"\b(?:delete\w*|rm|rmi|prune|destroy|purge|terminate\w*)\b"
    ),
)
_MANY_FORMS = (
    rf"\binvoke-(?:command|gpupdate)\b{_HERE}-(?:computername|computer|cn|session)\b",
    r"\bforeach(?:-object)?\b|\|\s*%\s*\{|\bfor\s+(?:/\w\s+)?\S+\s+in\b|\bxargs\b|\bparallel\b",
    # Directory, mail, tenant and policy cmdlets rarely touch one thing alone.
    (
        r"\b(?:set|add|new|move|enable|disable|rename|grant|start|stop)-"
        r"(?:ad|gp|mg|msol|azure|exo|cs|spo|dhcp|dns|pnp|entra)[a-z]\w*"
    ),
    (
        r"\b(?:set|add|new|enable|disable)-(?:\w*mailbox\w*|distributiongroup\w*|transport\w+"
        r"|retention\w+|unifiedgroup\w*|organization\w+|acceptedomain\w*)"
    ),
    rf"\bpsexec\b{_HERE}\\\\(?:\*|@|\S+,)|\bansible\b|\bpdsh\b|\bwinrs\b",
    r"\bdsmod\b|\bdsadd\b|\bsetspn\s+-[adsu]\b|\bcsvde\s+-i\b|\bldifde\s+-i\b",
    r"\brepadmin\s+/(?:syncall|replicate)|\bnetdom\s+(?:reset|trust)",
    rf"\bdnscmd\b{_HERE}/(?:record|zone|config)",
    r"\bupdate\s+\w+\s+set\b|\binsert\s+into\b|\balter\s+\w+\b",
    rf"\bicacls\b{_HERE}/t\b|\btakeown\b{_HERE}/r\b|\bch(?:mod|own)\s+-[a-z]*r",
    r"\bkubectl\s+(?:apply|scale|rollout|drain|cordon)|\bterraform\s+apply\b",
    r"\b(?:stop|restart)-computer\b",
    r"-recurse\b",
)
# Part of a command that is known to look only: its beginning.
_LOOKING_FORMS = (
    (
        r"(?:get|test|show|measure|select|where|sort|group|compare|resolve|find|search|read|convertto"
        r"|convertfrom|join|split|ping|trace)-\w+|write-(?:host|output)"
    ),
    r"(?:format-(?:table|list|wide|custom|hex)|ft|fl|out-(?:string|host|null|gridview))",
    # Networks.
    r"(?:ping|pathping|tracert|traceroute|nslookup|dig|host|whois|netstat|ss|hostname|getmac)",
    r"arp\s+-a|route\s+print|nbtstat\s+-[anrc]|ipconfig(?:\s+/(?:all|displaydns))?$",
    r"ip\s+(?:-\d\s+)?(?:a|addr|address|route|link|neigh)(?:\s+(?:show|list).*)?$",
    r"ifconfig(?:\s+(?:-a|\w+))?$|scutil\s+--(?:dns|proxy)|networksetup\s+-(?:get|list)\w+",
    r"netsh\b.*\bshow\b|nmcli\s+\S+\s+show|tailscale\s+status|openssl\s+(?:s_client|x509|version)",
    r"curl\s+(?:-[isvkILS]+\s+)*\S+$",
    # Systems, processes, files.
    r"(?:whoami|systeminfo|ver|uname|uptime|who|id|winver|msinfo32|dxdiag|sw_vers|system_profiler)",
    r"date$|mount$|dmesg$|klist(?:\s+(?:tickets|tgt|sessions))?$|chkdsk(?:\s+[a-z]:)?$|bcdedit$",
    r"(?:tasklist|quser|qwinsta|query|ps|top|pgrep|lsof|df|du|free|vmstat|iostat|lsblk|blkid)",
    r"(?:dir|ls|pwd|cat|type|more|less|head|tail|grep|egrep|findstr|wc|uniq|cut|where(?:\.exe)?)",
    r"(?:which|file|stat|tree|fc|comp|diff|md5sum|sha256sum|echo|printf|true|gc|gci|sls)",
    r"certutil\s+-(?:hashfile|dump|verify|store)|driverquery|powercfg\s+/(?:a|l|list|query|requests)",
    r"fsutil\s+\w+\s+(?:query|\w*info)\w*|vssadmin\s+list|manage-bde\s+-status|bcdedit\s+/enum",
    r"sfc\s+/(?:verifyonly|verifyfile)|dism\b.*/(?:get-\w+|scanhealth|checkhealth)$",
    r"diskutil\s+(?:list|info|verify\w*)|tmutil\s+(?:status|listbackups|latestbackup)",
    r"softwareupdate\s+-l|pmset\s+-g|csrutil\s+status|spctl\s+--status|slmgr(?:\.vbs)?\s+/d\w+",
    # Services, tasks, registry, logs, printing.
    r"sc(?:\.exe)?\s+(?:query\w*|qc)|systemctl\s+(?:status|list-\w+|is-\w+|show|cat)",
    r"service\s+\S+\s+status|launchctl\s+(?:list|print)|schtasks\s+/query|openfiles\s+/query",
    r"reg(?:\.exe)?\s+query|wmic\s+.*\b(?:get|list)\b|wevtutil\s+(?:qe|gl|el|gli)|log\s+show",
    r"journalctl(?!.*--(?:vacuum|rotate))|lpstat|lpq|lpinfo|pnputil\s+/enum",
    # Identity and domains.
    r"net(?:\.exe)?\s+(?:view|statistics|accounts|session|config|helpmsg|time)\b(?!.*/(?:set|del))",
    r"net(?:\.exe)?\s+(?:user|localgroup|share|start|use)$",
    r"nltest\s+/(?:dsgetdc|sc_query|dclist|server)|w32tm\s+/(?:query|stripchart)|gpresult|dcdiag",
    r"(?:dsquery|dsget)|setspn\s+-[lqx]|dsregcmd\s+/status",
    r"repadmin\s+/(?:showrepl|replsummary|queue|showobjmeta)",
    # Containers, clouds, version control.
    r"docker\s+(?:ps|logs|inspect|images|stats)|kubectl\s+(?:get|describe|logs|top)",
    r"az\s+.*\b(?:list|show)\b|aws\s+\S+\s+(?:describe|list|get)\S*|git\s+(?:status|log|diff|show)",
)


def _any(forms: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{form})" for form in forms), re.IGNORECASE)


_DESTRUCTIVE = _any(_DESTRUCTIVE_FORMS)
_MANY = _any(_MANY_FORMS)
_LOOKING = re.compile(
    rf"(?:sudo\s+)?(?:{'|'.join(_LOOKING_FORMS)})(?=$|[\s/\"'.:)])", re.IGNORECASE
)
_PARTS = re.compile(r"\r?\n|;|&&|\|\||\||(?<![>&\d])&(?![>&\d])")
# Output that goes into a file, unless it goes nowhere or into another stream.
_WRITES = re.compile(
    r"(?<![<>=\-\d&])>>?(?!\s*(?:nul\b|/dev/null|\$null|&))"
    r"|\b(?:out-file|tee-object|export-\w+|tee)\b",
    re.IGNORECASE,
)
# What runs a text that can't be read here.
_HIDES = re.compile(
    r"\b(?:iex|invoke-expression|start-process|eval|(?:ba|z|)sh\s+-c|cmd\s+/c|powershell|pwsh|wsl)\b"
    r"|\$\(|`[^`\s]|-enc(?:odedcommand)?\b|\[convert\]::|downloadstring|frombase64",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(r"^\$[\w:]+\s*=\s*(?=\S)")
_PROMPT = re.compile(
    r"^[ \t]*(?:PS\s+[A-Z]:[^>\n]*>|[A-Z]:\\[^>\n.]*>(?=\S)|[$#%]\s+)", re.MULTILINE
)
_PLACEHOLDER = re.compile(r"<[a-z][\w .'-]{0,60}>", re.IGNORECASE)
_COMMENT = re.compile(r"^(?:#|rem\b|::|//)", re.IGNORECASE)


def riskier(first: Risk, second: Risk) -> Risk:
    """Return the higher of two risks."""
    return max(first, second, key=_ORDER.index)


def risk_of(text: str) -> Risk:
    """Return the least risk that a command must be shown with, whatever its author says."""
    text = _PLACEHOLDER.sub("placeholder", text).strip()
    if not text:
        return Risk.READ_ONLY
    if _DESTRUCTIVE.search(text):
        return Risk.DESTRUCTIVE
    text = _PROMPT.sub("", text)
    if _MANY.search(text) and not _looks_only(text):
        return Risk.CHANGES_MANY
    if _WRITES.search(text) or _HIDES.search(text) or not _looks_only(text):
        return Risk.CHANGES_ONE
    return Risk.READ_ONLY


def _looks_only(text: str) -> bool:
    return all(_part_looks_only(part) for part in _PARTS.split(text))


def _part_looks_only(part: str) -> bool:
    part = _ASSIGNMENT.sub("", part.strip()).lstrip("(@{ ").strip()
    return not part or bool(_COMMENT.match(part)) or bool(_LOOKING.match(part))
