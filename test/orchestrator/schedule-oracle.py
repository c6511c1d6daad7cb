"""The times that a pattern names, by brute force: every minute of a window, asked of Python's own zoneinfo.

An oracle for src/orchestrator/schedule-times.ts that shares nothing with it, neither code nor time zone database.
The policy, as that file states it: with a * in minutes or hours a pattern follows real minutes; any other names times of
day, of which one that is left out is served once at the first instant after the gap, one that is repeated in its first pass.

  python3 test/orchestrator/schedule-oracle.py > test/orchestrator/schedule-times.golden.json
  python3 test/orchestrator/schedule-oracle.py --years 2018 2037      one JSON line for each zone and pattern
"""
import json
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
UTC = timezone.utc

PATTERNS = ['30 1 * * *', '0 0 * * *', '15 2 * * *', '*/15 * * * *', '30 * * * *', '0,30 1,2 * * *', '*/30 1 * * *', '0 9 * * 1-5', '45 23 * * *', '20 0-3 * * 0', '0 0 30 12 *']

# Around both changes of each zone: first and last day.
WINDOWS = {
    'Europe/London': [('2025-03-27', '2025-04-02'), ('2025-10-23', '2025-10-29')],
    'America/New_York': [('2025-03-06', '2025-03-12'), ('2025-10-30', '2025-11-05')],
    'Australia/Lord_Howe': [('2025-04-03', '2025-04-09'), ('2025-10-02', '2025-10-08')],
    'Africa/Cairo': [('2025-04-22', '2025-04-28'), ('2025-10-28', '2025-11-03')],
    'Pacific/Apia': [('2020-09-24', '2020-09-30'), ('2021-04-01', '2021-04-07'), ('2011-12-27', '2012-01-02')],
    'Antarctica/Troll': [('2025-03-27', '2025-04-02'), ('2025-10-23', '2025-10-29')],
    'America/Sao_Paulo': [('2018-11-01', '2018-11-07'), ('2018-02-15', '2018-02-20')],
    'America/Nuuk': [('2025-03-27', '2025-04-01'), ('2025-10-23', '2025-10-28')],
    'Africa/Casablanca': [('2025-02-20', '2025-02-26'), ('2025-04-03', '2025-04-09')],
}

ZONES = sorted(set(WINDOWS) | {
    'UTC', 'Europe/Berlin', 'Europe/Dublin', 'Europe/Lisbon', 'Europe/Athens', 'Europe/Moscow', 'Europe/Chisinau', 'Atlantic/Azores', 'America/Los_Angeles', 'America/Denver',
    'America/Chicago', 'America/Phoenix', 'America/Halifax', 'America/St_Johns', 'America/Havana', 'America/Santiago', 'America/Asuncion', 'America/Mexico_City', 'America/Bogota',
    'Asia/Jerusalem', 'Asia/Beirut', 'Asia/Gaza', 'Asia/Amman', 'Asia/Tehran', 'Asia/Kolkata', 'Asia/Kathmandu', 'Asia/Tokyo', 'Australia/Sydney', 'Australia/Adelaide',
    'Pacific/Auckland', 'Pacific/Chatham',
})


def numbers(field, low, high):
    """The values of a field: lists, ranges, steps."""
    found = set()
    for part in field.split(','):
        part, _, step = part.partition('/')
        start, end = (low, high) if part == '*' else [int(x) for x in (part.split('-') + part.split('-'))[:2]]
        found.update(range(start, end + 1, int(step or 1)))
    return found


class Pattern:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.days, self.months, self.weekdays = numbers(day, 1, 31), numbers(month, 1, 12), {w % 7 for w in numbers(weekday, 0, 7)}
        self.any_day, self.any_weekday = day == '*', weekday == '*'
        self.is_real_time = '*' in minute or '*' in hour

    def has_date(self, at):
        if at.month not in self.months:
            return False
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday

    def has_time(self, at):
        return at.minute in self.minutes and at.hour in self.hours


def table(zone, start, end):
    """Every minute of the window with the local time that it has there."""
    info, at, rows = ZoneInfo(zone), start, []
    while at < end:
        rows.append((at, at.astimezone(info).replace(tzinfo=None, fold=0)))
        at += MINUTE
    return rows


def times(pattern, rows, start, end):
    found = set()
    if pattern.is_real_time:
        found.update(at for at, local in rows if pattern.has_date(local) and pattern.has_time(local))
    else:
        first = {}
        for at, local in rows:
            first.setdefault(local, at)
        dates = {local.date() for _, local in rows}
        gaps = [(rows[i - 1][1], local, at) for i, (at, local) in enumerate(rows) if i > 0 and local - rows[i - 1][1] > MINUTE]
        local, last = rows[0][1], rows[-1][1]
        while local <= last:
            if pattern.has_date(local) and pattern.has_time(local):
                if local in first:
                    found.add(first[local])
                elif local.date() in dates:  # a date that is left out as a whole is no date
                    found.update(after for before, until, after in gaps if before < local < until)
            local += MINUTE
    return sorted(int(at.timestamp()) // 60 for at in found if start <= at < end)


def look(zone, start, end):
    # A day more on both sides: what is left out or repeated is only seen from around it.
    rows = table(zone, start - 2 * DAY, end + 2 * DAY)
    return {text: times(Pattern(text), rows, start, end) for text in PATTERNS}


def changes(zone, first, last):
    info, at = ZoneInfo(zone), datetime(first, 1, 1, tzinfo=UTC)
    before = at.astimezone(info).utcoffset()
    while at.year <= last:
        at += timedelta(hours=1)
        now = at.astimezone(info).utcoffset()
        if now != before:
            yield at.replace(hour=0)
        before = now


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


if sys.argv[1:2] == ['--years']:
    for zone in ZONES:
        for at in changes(zone, int(sys.argv[2]), int(sys.argv[3])):
            start, end = at - DAY, at + 2 * DAY
            info = ZoneInfo(zone)
            offsets = [int((start + timedelta(hours=h)).astimezone(info).utcoffset().total_seconds()) for h in range(72)]
            for text, found in look(zone, start, end).items():
                print(json.dumps({'offsets': offsets, 'zone': zone, 'cron': text, 'from': int(start.timestamp()) // 60, 'to': int(end.timestamp()) // 60, 'times': found}), flush=True)
else:
    windows = []
    for zone, list_ in WINDOWS.items():
        for start, end in list_:
            for text, found in look(zone, day(start), day(end)).items():
                windows.append({'zone': zone, 'cron': text, 'from': int(day(start).timestamp()) // 60, 'to': int(day(end).timestamp()) // 60, 'times': found})
    print('[\n' + ',\n'.join(json.dumps(one, separators=(',', ':')) for one in windows) + '\n]')
