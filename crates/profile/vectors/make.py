#!/usr/bin/env python3
"""Makes the property lists of this folder, against which the command builders are tested byte for byte.

Nothing here shares code with Adelie: the key is derived by hashlib, the XML is written below, and plistlib reads
every file back and must find in it what was meant. Run it in this folder; the files must not change:

    python3 make.py && git diff --exit-code .
"""

import base64
import hashlib
import pathlib
import plistlib
from xml.sax.saxutils import escape

HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
    b'<plist version="1.0">\n'
)


def lines(value, depth):
    """The XML of a value: tabs, sorted keys, and base64 in lines of 68 characters at the depth of its element."""
    tab = "\t" * depth
    if isinstance(value, bool):
        return [f"{tab}<{str(value).lower()}/>"]
    if isinstance(value, int):
        return [f"{tab}<integer>{value}</integer>"]
    if isinstance(value, str):
        return [f"{tab}<string>{escape(value)}</string>"]
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode()
        data = [tab + text[at : at + 68] for at in range(0, len(text), 68)]
        return [f"{tab}<data>", *data, f"{tab}</data>"]
    if isinstance(value, list):
        return [f"{tab}<array>", *(line for item in value for line in lines(item, depth + 1)), f"{tab}</array>"]
    if isinstance(value, dict):
        out = [f"{tab}<dict>"]
        for key in sorted(value):
            out += [f"{tab}\t<key>{escape(key)}</key>", *lines(value[key], depth + 1)]
        return [*out, f"{tab}</dict>"]
    raise TypeError(type(value))


def plist(value):
    text = HEAD + "\n".join(lines(value, 0)).encode() + b"\n</plist>"
    assert plistlib.loads(text) == value
    return text


def password_hash(password, salt, iterations):
    entropy = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 128)
    return plist({"SALTED-SHA512-PBKDF2": {"entropy": entropy, "iterations": iterations, "salt": salt}})


def command(uuid, request_type, **keys):
    return plist({"Command": {"RequestType": request_type, **keys}, "CommandUUID": uuid})


HASH = password_hash("correct horse", bytes(range(32)), 25000)
UUID = "019abc00-0000-7000-8000-000000000001"

FILES = {
    "password-hash.plist": HASH,
    "device-configured.plist": command(UUID, "DeviceConfigured"),
    "set-auto-admin-password.plist": command(
        UUID, "SetAutoAdminPassword", GUID="5E1F0000-0000-4000-8000-0000000000A1", passwordHash=HASH
    ),
    "account-configuration.plist": command(
        UUID,
        "AccountConfiguration",
        AutoSetupAdminAccounts=[
            {"shortName": "localadmin", "fullName": "Admin & Co of C02EXAMPLE01", "hidden": True, "passwordHash": HASH}
        ],
        SkipPrimarySetupAccountCreation=False,
        SetPrimarySetupAccountAsRegularUser=True,
        PrimaryAccountFullName="Robin Exämple <IT>",
        PrimaryAccountUserName="robin",
        LockPrimaryAccountInfo=True,
        ManagedLocalUserShortName="robin",
    ),
    "account-configuration-skip.plist": command(
        UUID,
        "AccountConfiguration",
        AutoSetupAdminAccounts=[{"shortName": "c02example01", "hidden": False, "passwordHash": HASH}],
        SkipPrimarySetupAccountCreation=True,
        SetPrimarySetupAccountAsRegularUser=False,
    ),
}

for name, content in FILES.items():
    pathlib.Path(__file__).with_name(name).write_bytes(content)
