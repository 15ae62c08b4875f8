"""What technicians are asked about that is none of the flows' business.

"The backup failed" and "the screen is cracked" are faults, and a flow that shares a word with them
would be offered. These subjects compete with the flows for an intake: where one of them says more,
no flow is found. A word that one of the flows is about counts for the flow alone, so a flow of
one's own about backups is found all the same.
"""

from __future__ import annotations

import re
from typing import Final

_SUBJECTS: Final = """
backup: backup backups veeam datto acronis shadowprotect backupexec altaro msp360 axcient sicherung
  / backup not, backup job, backup report, backup failed, backup completed with warnings, restore
  point, last successful backup, nightly backup, backup missed, backup overdue, cloud backup, tape
  drive, replication job
restore: restore undelete / deleted by accident, accidentally deleted, bring back, restore file,
  restore folder, get back a file, overwritten file, previous version, deleted a folder, recover
  file, recover deleted, deleted yesterday, file deleted
endpoint security: sentinelone huntress crowdstrike sophos bitdefender edr xdr quarantined defender
  eset malwarebytes webroot threatlocker antivirus firewall / threat detected, threat quarantined,
  suspicious persistence, antivirus expired, firewall rule, open a port, port forwarding, firewall
  firmware, vulnerability scan, penetration test, definitions out of date, threat blocked,
  protection disabled
damage: cracked dropped spilled hinge smashed swollen bulging dented coffee liquid keyboard keycap
  trackpad touchpad mouse battery charger adapter noise rattles / screen cracked, cracked screen,
  broken screen, screen broken, dropped laptop, water damage, spilled coffee, hinge broken, key
  fell off, keyboard key, mouse not work, battery only lasts, battery life, battery swollen,
  charger lost, charger broken, battery not charging, not charge, keys stuck, usb port loose, dead
  pixels, lines across the screen, fan noise, bent pins, wheel squeaks
supplies: toner cartridge drum ink staples refill consumables / toner low, toner empty, ink low,
  replace toner, waste toner, out of toner, low toner, drum replacement, paper rolls, maintenance
  kit, order toner, cartridge empty
figures: vat totals total figures pricelist stocktake payslip payroll ledger bookkeeping posting
  overtime timesheet / wrong total, wrong price, report shows, figures wrong, wrong amount, wrong
  figures, totals differ, article number, stock level wrong, invoice number, item price, time
  sheet, working hours, wrong vat, wrong tax, numbers differ, time entries missing, booked twice
office skills: formula pivot vlookup xlookup watermark footnote macro mailmerge tutorial howto /
  how do i, how can i, how to, page numbers, mail merge, conditional formatting, table of contents,
  freeze the top row, in front of a number, drop down list, pivot table, change the font, insert a,
  recall a message, track changes, email signature, out of office reply, font bigger
website content: wordpress webshop homepage plugin cms banner imprint cookie / contact form,
  opening hours, our website text, website content, change on our website, page on our website,
  correct the website, website shows old, website design, update the website, google ranking,
  company website
renewals: renewal renew expires subscription warranty contract insurance questionnaire audit
  auditor invoice billing bill statement gdpr compliance / domain renewal, domain expires, warranty
  expires, contract renewal, licence renewal, subscription expires, invoice wrong, question about
  invoice, bank details, year end, cyber insurance, data protection, price increase, credit note,
  purchase order
building: door fob badge alarm heating elevator lift blinds chair coffee kettle fridge lamp parking
  cctv tv television projector whiteboard beamer aircon conditioning ventilation leak plumber
  cleaner doorbell intercom gate garage radiator bulb thermostat / air con, air conditioning, door
  entry, access card, key card, alarm system, coffee machine, security camera, cctv camera, camera
  at the gate, waiting room, not recording, light bulb, meeting room tv, remote control, water
  leak, smoke detector, fire alarm, card reader at the door, time clock terminal, badge reader
leavers: leaver leaving offboarding resigned resignation retired terminated offboard / last working
  day, leaves us, left the company, revoke access, disable account, disable user, deactivate user,
  remove user, former employee, collect the laptop, convert mailbox, forward mail of
sales mail: seo webinar newsletter sponsored discount partnership whitepaper ebook unsubscribe
  vendor reseller marketing linkedin leads apprenticeship vacancy cv resume / leading provider,
  leading agency, may i call you, free trial, case study, special offer, schedule a demo, book a
  demo, quick chat, invitation to, page one of google, grow your business, our services, following
  up on my previous, limited time offer, product launch, job advert
automatic mail: parcel dispatched shipped survey courier autoreply / automatic reply, out of the
  office, out of office until, has been dispatched, tracking number, read receipt, ticket closed,
  thanks for your order, on annual leave, feedback survey, scheduled maintenance, office closed,
  reminder appointment, no action required, completed successfully, for your review, please ignore
monitoring agents: rmm agent ups kvm psu smartctl / agent offline, agent not checked in, not
  checked in, agent missing, ups battery, battery replacement, patch report, monthly report, asset
  list, device inventory, last seen, agent version, smart error, predictive failure, raid degraded,
  temperature high, fan failure, certificate report
phone setup: photos whatsapp voicemail greeting announcement sim roaming tariff mdm intune esim
  porting / phone storage, take photos, forward my calls, call forwarding, forward my extension,
  change the greeting, voicemail greeting, holiday announcement, sim card, new extension, phone
  number transfer, phone contract, enroll phone, contacts not sync, set up my phone, phone book,
  hold music, opening hours announcement, divert calls, ring group
projects: quote quotation price offer rollout migration relocation survey cabling project budget
  proposal purchase order buy recommend recommendation loan replacement training workshop / moving
  office, office move, new office, site survey, quote for, price for, plan the migration, move to
  the cloud, order new, book a call, send someone, pick up, training session, replacement laptop,
  how long would it take, change window, change request, admin rights, increase memory, add memory,
  new server, loan laptop
people: distribution signature whitelist allowlist rename / set up a new, create a mailbox, create
  an account, new starter on, new employee from, starts on, prepare a workplace, needs a laptop,
  add to the distribution, name change, got married, same access as, create a group, create a team,
  rename, distribution list, distribution group, add member, whitelist the, give access to, email
  alias
"""
"""A subject, its words, and after the stroke its phrases."""

SUBJECTS: Final = tuple(
    (tuple(words.split()), tuple(" ".join(phrase.split()) for phrase in phrases.split(",")))
    for words, phrases in re.findall(r"^[\w ]+:([^/]*)/((?:.|\n  )*)", _SUBJECTS, re.MULTILINE)
)
"""The words and the phrases of each subject."""
