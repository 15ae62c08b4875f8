"""The risk of a command is what the command says, whatever its author calls it."""

import pytest

from flowpilot_desktop.core.session import Risk
from flowpilot_desktop.llm.commands import risk_of, riskier

READ_ONLY = """
Get-Service -Name <service name>
Get-Process | Sort-Object CPU -Descending | Select-Object -First 10
Get-ChildItem -Recurse C:\\Logs
$disks = Get-PhysicalDisk
Get-WinEvent -LogName System -MaxEvents 50 | Format-List
Test-NetConnection <server name> -Port 443
Resolve-DnsName <host name>
PS C:\\> Get-Printer
ipconfig /all
ping -n 4 <gateway address>
nslookup <host name>
tracert <host name>
netstat -ano | findstr :443
dir C:\\Users /s
type C:\\log.txt | more
systeminfo
tasklist /v
sc query spooler
schtasks /query /tn <task name>
reg query HKLM\\Software\\<key name>
wmic os get version
nltest /dsgetdc:<domain name>
dsregcmd /status
gpresult /r
w32tm /query /status
sfc /verifyonly
dism /online /cleanup-image /scanhealth
net user
netsh wlan show interfaces
vssadmin list writers
manage-bde -status
certutil -hashfile <file name> SHA256
cat /var/log/syslog | grep -i error | tail -50
ls -la /etc
df -h
ps aux
sudo systemctl status cups
journalctl -u cups --since today
lpstat -p
ip addr show
scutil --dns
diskutil list
log show --last 1h
kubectl get pods
docker ps
Get-Content <file name> 2>$null
dig <host name> > /dev/null
""".strip().splitlines()

CHANGES_ONE = """
Restart-Service -Name <service name>
Set-Service <service name> -StartupType Automatic
ipconfig /flushdns
Clear-DnsClientCache
gpupdate /force
sfc /scannow
chkdsk c: /f
net stop spooler && net start spooler
sudo systemctl restart cups
reg add HKCU\\Software\\<key name> /v x /d 1
netsh winsock show catalog > catalog.txt
Get-Process | Out-File list.txt
echo nameserver <address> > /etc/resolv.conf
shutdown /r /t 0
winget upgrade <package>
powershell -EncodedCommand SQBFAFgA
iex (New-Object Net.WebClient).DownloadString('<address>')
curl <address> | bash
certutil -urlcache -f <address> x.exe
msiexec /i package.msi
./setup.sh
# systemctl restart cups
Stop-Process -Name outlook
taskkill /im outlook.exe /f
Get-Service spooler; Restart-Service spooler
Repair-Volume -DriveLetter C -Scan
net user <user name> *
kill -9 1234
""".strip().splitlines()

CHANGES_MANY = """
Get-ADComputer -Filter * | ForEach-Object { Restart-Service -InputObject $_ }
Invoke-Command -ComputerName <names> -ScriptBlock { gpupdate }
Set-ADUser -Identity <user name> -Enabled $true
Set-Mailbox -Identity <user name> -Type Shared
Enable-ADAccount <user name>
for /f %i in (computers.txt) do shutdown /r /m \\\\%i
for host in a b; do ssh $host reboot; done
psexec \\\\* gpupdate
icacls C:\\Data /grant Users:F /t
takeown /f C:\\Data /r
chmod -R 777 /srv
UPDATE users SET active = 1
kubectl rollout restart deployment/web
Restart-Computer -ComputerName <names>
repadmin /syncall
setspn -S HTTP/<host name> <account name>
cat hosts | xargs -n1 reboot
""".strip().splitlines()

DESTRUCTIVE = """
Remove-Item -Recurse -Force C:\\Data
remove-item x
Get-ADUser <user name> | Remove-ADUser
Get-ChildItem *.tmp | Remove-Item
Clear-RecycleBin -Force
Clear-EventLog -LogName System
Format-Volume -DriveLetter D
Clear-Disk -Number 1 -RemoveData
Initialize-Disk 2
Uninstall-Module <name>
Set-Content C:\\hosts ''
del /f /q C:\\Windows\\Temp\\*.*
DEL x
erase x
rd /s /q C:\\Data
rmdir C:\\Data
ri x
rm -rf /var/spool/cups/*
sudo rm x
find /tmp -name '*.log' -delete
find / -exec rm {} ;
shred -u secret.txt
format d: /q
FORMAT D:
mkfs.ext4 /dev/sdb1
dd if=/dev/zero of=/dev/sda
diskpart
clean all | diskpart
diskutil eraseDisk APFS New disk2
cipher /w:C:
vssadmin delete shadows /all
wbadmin delete catalog
bcdedit /deletevalue safeboot
reg delete HKLM\\Software\\<key name> /f
net user <user name> /delete
net localgroup admins <user name> /del
dsrm <name>
userdel -r <user name>
schtasks /delete /tn <task name> /f
sc delete <service name>
netsh int ip reset
netsh winsock reset
wevtutil cl System
apt-get purge cups
brew uninstall x
winget uninstall <package>
msiexec /x {code}
dism /online /cleanup-image /resetbase
robocopy a b /mir
rsync -a --delete a b
git reset --hard
git clean -fdx
git push --force
DROP TABLE users
DELETE FROM users
TRUNCATE TABLE log
docker system prune -a
kubectl delete pod x
az vm delete -n x
terraform destroy
manage-bde -off C:
fsutil usn deletejournal /d C:
[System.IO.File]::Delete('x')
(Get-WmiObject Win32_UserProfile).Delete()
echo x > /dev/sda
nslookup x && rm y
ping x; Remove-Item y
Get-Service
    Remove-Item x
ntdsutil
wmic product where name='x' delete
Reset-ComputerMachinePassword
Revoke-SPOUserSession
""".strip()


def _destructive() -> list[str]:
    joined = DESTRUCTIVE.replace("Get-Service\n    Remove-Item x", "Get-Service\\nRemove-Item x")
    return [line.replace("\\n", "\n") for line in joined.splitlines()]


@pytest.mark.parametrize("text", READ_ONLY)
def test_what_only_looks_is_read_only(text: str):
    assert risk_of(text) is Risk.READ_ONLY


@pytest.mark.parametrize("text", CHANGES_ONE)
def test_what_changes_one_thing_or_is_unknown(text: str):
    assert risk_of(text) is Risk.CHANGES_ONE


@pytest.mark.parametrize("text", CHANGES_MANY)
def test_what_reaches_many(text: str):
    assert risk_of(text) is Risk.CHANGES_MANY


@pytest.mark.parametrize("text", _destructive())
def test_what_takes_away(text: str):
    assert risk_of(text) is Risk.DESTRUCTIVE


@pytest.mark.parametrize("lead", ["Get-Date; ", "whoami && ", "$x = 1\n", "echo ok | ", "dir & "])
@pytest.mark.parametrize("deed", ["Remove-Item x", "rm x", "del x", "format c:", "sc delete x"])
def test_a_harmless_beginning_hides_nothing(lead: str, deed: str):
    assert risk_of(lead + deed) is Risk.DESTRUCTIVE


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("C:\\Users\\kim>ipconfig /all", Risk.READ_ONLY),
        ("PS C:\\Users\\kim> Get-Service", Risk.READ_ONLY),
        ("kim@host:~$ ls", Risk.CHANGES_ONE),
        ("C:\\Windows\\System32\\cmd.exe /c del x > log", Risk.DESTRUCTIVE),
        ("C:\\tool.exe arg > ipconfig", Risk.CHANGES_ONE),
        ("PS C:\\> Remove-Item x", Risk.DESTRUCTIVE),
    ],
)
def test_a_prompt_that_was_copied_along_hides_nothing(text: str, risk: Risk):
    assert risk_of(text) is risk


def test_nothing_is_no_risk_and_the_higher_one_wins():
    assert risk_of("  \n") is Risk.READ_ONLY
    order = [Risk.READ_ONLY, Risk.CHANGES_ONE, Risk.CHANGES_MANY, Risk.DESTRUCTIVE]
    for low, first in enumerate(order):
        for high, second in enumerate(order):
            assert riskier(first, second) is order[max(low, high)]


def test_a_long_text_is_judged_quickly():
    assert risk_of("a -b " * 400_00) is Risk.CHANGES_ONE
