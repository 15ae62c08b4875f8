; The installer for Windows, made by `python build/dev.py package` with Inno Setup's compiler.
;
; It installs for the user who runs it, without an administrator. A later version replaces an earlier
; one in its place: its id is the same, and what the earlier one had frozen is removed first. The
; profile (%LOCALAPPDATA%\FlowPilot) is another folder, which neither an upgrade nor a removal
; touches. Names and paths come from installers.py; with Signed, Setup and its uninstaller are signed
; by the command that signs the programs.

[Setup]
AppId={{{#WindowsId}}
AppName={#Name}
AppVersion={#Version}
AppVerName={#Name} {#Version}
AppPublisher={#Publisher}
VersionInfoVersion={#Version}
DefaultDirName={autopf}\{#Name}
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0.17763
OutputDir={#Output}
OutputBaseFilename={#FileName}
SetupIconFile={#Icon}
UninstallDisplayIcon={app}\{#Windowed}.exe
UninstallDisplayName={#Name}
Compression=lzma2
SolidCompression=yes
WizardStyle=modern
; Its windows hide in the tray when they are asked to close. All that was typed is on the disk.
CloseApplications=force
RestartApplications=no
#ifdef Signed
SignTool=flowpilot
SignedUninstaller=yes
#endif

[Languages]
Name: "en"; MessagesFile: "compiler:Default.isl"
Name: "de"; MessagesFile: "compiler:Languages\German.isl"

[Tasks]
; Asked once: afterwards the settings of FlowPilot say whether it starts at sign-in.
Name: "startup"; Description: "{cm:AutoStartProgram,{#Name}}"; Flags: unchecked; Check: IsFirst

[InstallDelete]
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Source}\*"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{userprograms}\{#Name}"; Filename: "{app}\{#Windowed}.exe"

[Registry]
Root: HKCU; Subkey: "Software\Microsoft\Windows\CurrentVersion\Run"; ValueType: string; ValueName: "{#Name}"; ValueData: """{app}\{#Windowed}.exe"" --minimized"; Tasks: startup
; Whoever wrote it, Setup or FlowPilot: it goes with the programs.
Root: HKCU; Subkey: "Software\Microsoft\Windows\CurrentVersion\Run"; ValueType: none; ValueName: "{#Name}"; Flags: dontcreatekey uninsdeletevalue

[Run]
Filename: "{app}\{#Windowed}.exe"; Description: "{cm:LaunchProgram,{#Name}}"; Flags: nowait postinstall skipifsilent

[Code]
function IsFirst: Boolean;
begin
  Result := not RegKeyExists(HKCU,
    'Software\Microsoft\Windows\CurrentVersion\Uninstall\{{#WindowsId}}_is1');
end;
