/* SPDX-License-Identifier: MIT */
/*
 * date.c - HTTP dates (RFC 9110 section 5.6.7) without locale or time zone. Pure.
 * Days are counted in years that begin in March, so that the leap day is the last day of a year.
 */
#include "base/clock.h"

#include <string.h>

#define DAY_S 86400
#define ERA_DAYS 146097           /* 400 years, after which the calendar repeats */
#define EPOCH_DAYS 719468         /* from 0000-03-01 to 1970-01-01 */
#define WALL_MIN_S (-62167219200) /* 0000-01-01 */
#define WALL_MAX_S 253402300799   /* 9999-12-31 23:59:59: the last that four digits can say */
#define FIFTY_YEARS_S (50 * 31556952ll)

static const char day_names[7][10] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
				       "Thursday", "Friday", "Saturday" };
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct date {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second;
};

/* Days of the March-based year before the month that is number (0: March). */
static int month_start(int number)
{
	return (153 * number + 2) / 5;
}

static int64_t days_from_date(const struct date *date)
{
	int year = date->month > 2 ? date->year : date->year - 1;
	int number = date->month > 2 ? date->month - 3 : date->month + 9;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t in_era = year - era * 400;

	return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + month_start(number) + date->day -
	       1 - EPOCH_DAYS;
}

static void date_from_days(struct date *date, int64_t days)
{
	int64_t shifted = days + EPOCH_DAYS;
	int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
	int in_era = (int)(shifted - era * ERA_DAYS);
	/*
	 * Taking out the leap days (one in 1460 days, less one in 36524, plus the last of the era) leaves
	 * years of 365.
	 */
	int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
	int in_year = in_era - (365 * year + year / 4 - year / 100);
	int number = (5 * in_year + 2) / 153;

	date->day = in_year - month_start(number) + 1;
	date->month = number < 10 ? number + 3 : number - 9;
	date->year = (int)(era * 400) + year + (date->month <= 2);
}

static bool year_is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && year_is_leap(year) ? 29 : days[month - 1];
}

static void put_digits(char *dst, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		dst[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* Returns the days since the epoch. */
static int64_t date_from_wall(struct date *date, int64_t wall_s)
{
	int64_t days, in_day;

	wall_s = PER_MAX(WALL_MIN_S, PER_MIN(WALL_MAX_S, wall_s));
	days = (wall_s >= 0 ? wall_s : wall_s - (DAY_S - 1)) / DAY_S;
	in_day = wall_s - days * DAY_S;
	date_from_days(date, days);
	date->hour = (int)(in_day / 3600);
	date->minute = (int)(in_day / 60 % 60);
	date->second = (int)(in_day % 60);
	return days;
}

static void put_time(char *dst, const struct date *date)
{
	put_digits(dst, date->hour, 2);
	put_digits(dst + 3, date->minute, 2);
	put_digits(dst + 6, date->second, 2);
}

void per__date_format(char *dst, int64_t wall_s)
{
	struct date date;
	int64_t days = date_from_wall(&date, wall_s);

	memcpy(dst, "***, 00 *** 0000 00:00:00 GMT", PER__DATE_LEN);
	memcpy(dst, day_names[((days + 4) % 7 + 7) % 7], 3); /* the epoch was a Thursday */
	put_digits(dst + 5, date.day, 2);
	memcpy(dst + 8, month_names + (size_t)3 * (size_t)(date.month - 1), 3);
	put_digits(dst + 12, date.year, 4);
	put_time(dst + 17, &date);
}

void per__date_format_iso(char *dst, int64_t wall_s)
{
	struct date date;

	(void)date_from_wall(&date, wall_s);
	memcpy(dst, "0000-00-00T00:00:00", PER__DATE_ISO_LEN);
	put_digits(dst, date.year, 4);
	put_digits(dst + 5, date.month, 2);
	put_digits(dst + 8, date.day, 2);
	put_time(dst + 11, &date);
}

/* Matches src with a pattern of the same length: a '0' takes any digit, a '*' anything, the rest itself. */
static bool text_matches(const char *src, const char *pattern)
{
	for (; *pattern != '\0'; src++, pattern++) {
		if (*pattern == '*')
			continue;
		if (*pattern == '0' ? *src < '0' || *src > '9' : *src != *pattern)
			return false;
	}
	return true;
}

static int get_digits(const char *src, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++)
		value = value * 10 + (src[i] - '0');
	return value;
}

/* The three letters of a month as 1 to 12, 0 for anything else. */
static int get_month(const char *src)
{
	for (int month = 1; month <= 12; month++) {
		if (memcmp(src, month_names + (size_t)3 * (size_t)(month - 1), 3) == 0)
			return month;
	}
	return 0;
}

/* hh:mm:ss */
static void get_time(const char *src, struct date *date)
{
	date->hour = get_digits(src, 2);
	date->minute = get_digits(src + 3, 2);
	date->second = get_digits(src + 6, 2);
}

static bool day_name_matches(const char *src, size_t len)
{
	for (size_t i = 0; i < PER_ARRAY_LEN(day_names); i++) {
		if ((len == 3 || len == strlen(day_names[i])) && memcmp(src, day_names[i], len) == 0)
			return true;
	}
	return false;
}

/* A second of 60 is a leap second (RFC 5322 section 3.3); it counts as the next minute's first. */
static bool date_to_wall(const struct date *date, int64_t *out)
{
	if (date->month < 1 || date->day < 1 || date->day > month_days(date->year, date->month))
		return false;
	if (date->hour > 23 || date->minute > 59 || date->second > 60)
		return false;
	*out = days_from_date(date) * DAY_S + date->hour * 3600 + date->minute * 60 + date->second;
	return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_imf(const char *src, size_t len, int64_t *out)
{
	struct date date;

	if (len != PER__DATE_LEN || !text_matches(src, "***, 00 *** 0000 00:00:00 GMT"))
		return false;
	if (!day_name_matches(src, 3))
		return false;
	date.day = get_digits(src + 5, 2);
	date.month = get_month(src + 8);
	date.year = get_digits(src + 12, 4);
	get_time(src + 17, &date);
	return date_to_wall(&date, out);
}

/* "Sun Nov  6 08:49:37 1994"; a day below ten has a space before it, seldom a zero. */
static bool parse_asctime(const char *src, size_t len, int64_t *out)
{
	struct date date;

	if (len != 24 || !text_matches(src, "*** *** *0 00:00:00 0000") || !day_name_matches(src, 3))
		return false;
	if (src[8] != ' ' && (src[8] < '0' || src[8] > '3'))
		return false;
	date.day = (src[8] == ' ' ? 0 : (src[8] - '0') * 10) + (src[9] - '0');
	date.month = get_month(src + 4);
	date.year = get_digits(src + 20, 4);
	get_time(src + 11, &date);
	return date_to_wall(&date, out);
}

/*
 * "Sunday, 06-Nov-94 08:49:37 GMT". Of the years that end so, the last that is not more than fifty years
 * ahead (RFC 9110 section 5.6.7).
 */
static bool parse_rfc850(const char *src, size_t len, int64_t now_s, int64_t *out)
{
	const char *comma = memchr(src, ',', len);
	struct date date, now;
	size_t name_len;

	if (comma == NULL)
		return false;
	name_len = (size_t)(comma - src);
	if (name_len == 3 || !day_name_matches(src, name_len) || len - name_len != 24)
		return false;
	if (!text_matches(comma, ", 00-***-00 00:00:00 GMT"))
		return false;
	date.day = get_digits(comma + 2, 2);
	date.month = get_month(comma + 5);
	get_time(comma + 12, &date);

	now_s = PER_MAX(0, PER_MIN(WALL_MAX_S - 2 * FIFTY_YEARS_S, now_s));
	date_from_days(&now, now_s / DAY_S);
	date.year = now.year - now.year % 100 + 100 + get_digits(comma + 9, 2);
	for (int century = 0; century < 3; century++, date.year -= 100) {
		/* A 29 February may exist in one of these years only. */
		if (date_to_wall(&date, out) && *out <= now_s + FIFTY_YEARS_S)
			return true;
	}
	return false;
}

bool per__date_parse(const char *src, size_t len, int64_t now_s, int64_t *out)
{
	return parse_imf(src, len, out) || parse_asctime(src, len, out) || parse_rfc850(src, len, now_s, out);
}
