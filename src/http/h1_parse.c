/* SPDX-License-Identifier: MIT */
/*
 * h1_parse.c - finds the parts of an HTTP/1 head; the scans come from h1_parse_impl.h, compiled once per
 * instruction set. Does not judge what known fields say (h1_fields.c). Called by the HTTP/1 protocol with
 * everything received since the head's first byte. States, in order: START [START_LF METHOD_FIRST] METHOD
 * TARGET_FIRST TARGET_PATH [TARGET_QUERY] VERSION, then per line LINE FIELD_NAME FIELD_BLANK FIELD_VALUE
 * FIELD_LF, then END_LF. Invariant: bytes below head->pos are never judged again.
 */
#include "http/h1_fields.h"

#if defined(__x86_64__) || defined(__i386__)
#define H1_X86
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define H1_NEON
#include <arm_neon.h>
#endif

#define METHOD_BYTES_MAX 32u

enum h1_state {
	H1_START,
	H1_START_LF, /* behind the CR of an empty line, the only one that is skipped (RFC 9112 section 2.2) */
	H1_METHOD_FIRST, /* behind that line */
	H1_METHOD,
	H1_TARGET_FIRST,
	H1_TARGET_PATH,
	H1_TARGET_QUERY,
	H1_VERSION,
	H1_LINE, /* at the first byte of a field line or of the empty line */
	H1_FIELD_NAME,
	H1_FIELD_BLANK, /* between colon and value */
	H1_FIELD_VALUE,
	H1_FIELD_LF,
	H1_END_LF, /* behind the CR of the last line */
};

/* What a step says besides PER__H1_MORE and a negative status. */
enum { H1_GO = 1, H1_END = 2 };

/*
 * The input of one call. len is cut at head_bytes_max, or where an earlier call has come to under a higher
 * limit: what lies behind is never looked at.
 */
struct h1_input {
	const uint8_t *buf;
	size_t len, pos;
	const struct per__h1_limits *limits;
	bool is_cut; /* the head may not grow beyond len */
};

PER_INLINE void input_init(struct h1_input *in, const struct per__h1_head *head,
			   const struct per__h1_limits *limits, const uint8_t *buf, size_t len)
{
	PER_ASSERT(limits->head_bytes_max <= UINT16_MAX); /* offsets have 16 bits */
	in->is_cut = len >= limits->head_bytes_max;
	in->buf = buf;
	in->pos = head->pos;
	in->len = in->is_cut ? PER_MAX(limits->head_bytes_max, in->pos) : len;
	in->limits = limits;
	PER_ASSERT(in->pos <= in->len); /* the input never gets shorter */
}

PER_INLINE int input_verdict(const struct per__h1_head *head, const struct h1_input *in, int result)
{
	if (PER_UNLIKELY(result == PER__H1_MORE && in->is_cut))
		return head->state >= H1_TARGET_FIRST && head->state <= H1_TARGET_QUERY ? -414 : -431;
	return result;
}

PER_INLINE int suspend(struct per__h1_head *head, const struct h1_input *in, uint8_t state)
{
	head->state = state;
	head->pos = (uint16_t)in->pos;
	return PER__H1_MORE;
}

PER_INLINE bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* --- request line ----------------------------------------------------------------------------- */

PER_INLINE void method_set(struct per__h1_head *head, per_method method, size_t start, size_t len)
{
	head->method = (uint8_t)method;
	head->method_off = (uint16_t)start;
	head->method_len = (uint8_t)len;
}

/*
 * Byte by byte: cut input, an empty line before the request, and every method but the fast ones. Works on
 * head->pos, so that the caller's input can stay in registers.
 */
static __attribute__((noinline)) int method_parse_slow(struct per__h1_head *head, const uint8_t *buf,
						       size_t len)
{
	for (; head->pos < len; head->pos++) {
		const uint8_t byte = buf[head->pos];

		switch (head->state) {
		case H1_START:
			if (byte == '\r') {
				head->state = H1_START_LF;
				break;
			}
			/* fallthrough */
		case H1_METHOD_FIRST:
			if (!(per__h1_class[byte] & PER__H1_TCHAR))
				return -400;
			head->mark = head->pos;
			head->state = H1_METHOD;
			break;
		case H1_START_LF:
			if (byte != '\n')
				return -400;
			head->state = H1_METHOD_FIRST;
			break;
		default: /* H1_METHOD */
			if (byte == ' ') {
				const size_t name_len = (size_t)(head->pos - head->mark);

				method_set(head, per__method_from((const char *)buf + head->mark, name_len),
					   head->mark, name_len);
				head->pos++;
				return H1_GO;
			}
			if (!(per__h1_class[byte] & PER__H1_TCHAR))
				return -400;
			if (head->pos == head->mark + METHOD_BYTES_MAX)
				return -501; /* longer than any method there is (RFC 9112 section 3) */
			break;
		}
	}
	return PER__H1_MORE;
}

PER_INLINE int method_parse(struct per__h1_head *head, struct h1_input *in)
{
	if (PER_LIKELY(head->state == H1_START && in->len >= 8)) {
		const uint32_t word = per__h1_word32(in->buf);

		if (PER_LIKELY(word == per__h1_word32("GET "))) {
			method_set(head, PER_METHOD_GET, 0, 3);
			in->pos = 4;
			return H1_GO;
		}
		if (word == per__h1_word32("POST") && in->buf[4] == ' ') {
			method_set(head, PER_METHOD_POST, 0, 4);
			in->pos = 5;
			return H1_GO;
		}
	}

	const int result = method_parse_slow(head, in->buf, in->len);

	in->pos = head->pos;
	return result;
}

/* Which form it must have: by method and first byte (RFC 9112 section 3.2). */
PER_INLINE int target_begin(struct per__h1_head *head, const struct h1_input *in)
{
	const uint8_t byte = in->buf[in->pos];

	head->target_off = (uint16_t)in->pos;
	if (PER_UNLIKELY(head->method == PER_METHOD_CONNECT))
		head->target_form = PER__H1_AUTHORITY_FORM;
	else if (PER_LIKELY(byte == '/'))
		head->target_form = PER__H1_ORIGIN_FORM;
	else if ((byte | 0x20) == 'h')
		head->target_form = PER__H1_ABSOLUTE_FORM;
	else if (byte == '*' && head->method == PER_METHOD_OPTIONS)
		head->target_form = PER__H1_ASTERISK_FORM;
	else
		return -400;
	return byte == ' ' ? -400 : H1_GO;
}

PER_INLINE int target_end(struct per__h1_head *head, struct h1_input *in)
{
	head->target_len = (uint16_t)(in->pos - head->target_off);
	in->pos++;
	head->mark = (uint16_t)in->pos;
	if (PER_LIKELY(head->target_form == PER__H1_ORIGIN_FORM && head->query_off == 0)) {
		head->path_off = head->target_off;
		head->path_len = head->target_len;
		return H1_GO;
	}
	return per__h1_target_split(head, in->buf) == 0 ? H1_GO : -400;
}

/* Works on head->pos, as method_parse_slow() does. */
static __attribute__((noinline)) int version_parse_slow(struct per__h1_head *head, const uint8_t *buf,
							size_t len)
{
	static const char shape[] = "HTTP/0.0\r\n"; /* 0: any digit */

	for (; head->pos < len; head->pos++) {
		const uint8_t byte = buf[head->pos];
		const char want = shape[head->pos - head->mark];

		if (want == '0' ? byte < '0' || byte > '9' : byte != (uint8_t)want)
			return -400;
		if (want == '\n') {
			head->pos++;
			head->version = buf[head->mark + 7] == '0' ? 10 : 11;
			return buf[head->mark + 5] == '1' ? H1_GO : -505;
		}
	}
	head->state = H1_VERSION;
	return PER__H1_MORE;
}

PER_INLINE int version_parse(struct per__h1_head *head, struct h1_input *in)
{
	const uint8_t *src = in->buf + in->pos;

	if (PER_LIKELY(in->pos == head->mark && in->len - in->pos >= 10 &&
		       per__h1_word64(src) == per__h1_word64("HTTP/1.1") &&
		       per__h1_word16(src + 8) == per__h1_word16("\r\n"))) {
		head->version = 11;
		in->pos += 10;
		return H1_GO;
	}
	head->pos = (uint16_t)in->pos;

	const int result = version_parse_slow(head, in->buf, in->len);

	in->pos = head->pos;
	return result;
}

/* --- fields ----------------------------------------------------------------------------------- */

/* Behind the CR of the empty line. */
PER_INLINE int fields_end(struct per__h1_head *head, struct h1_input *in)
{
	if (in->pos == in->len)
		return suspend(head, in, H1_END_LF);
	if (in->buf[in->pos] != '\n')
		return -400;
	in->pos++;
	return H1_END;
}

/* A first byte that is no tchar (a folded line, a colon, a control) is found by the scan of the name. */
PER_INLINE int line_begin(struct per__h1_head *head, struct h1_input *in, uint8_t state)
{
	if (PER_UNLIKELY(state == H1_END_LF))
		return fields_end(head, in);
	if (PER_UNLIKELY(in->pos == in->len))
		return suspend(head, in, H1_LINE);

	const uint8_t byte = in->buf[in->pos];

	if (byte == '\r') {
		in->pos++;
		return fields_end(head, in);
	}
	if (PER_UNLIKELY(head->line_cnt >= in->limits->fields_max || head->field_cnt >= head->fields_cap))
		return per__h1_class[byte] & PER__H1_TCHAR ? -431 : -400;
	head->line_cnt++;
	head->fields[head->field_cnt].name_off = (uint16_t)in->pos;
	return H1_GO;
}

PER_INLINE int name_end(struct per__h1_head *head, struct h1_input *in)
{
	struct per__field *field = &head->fields[head->field_cnt];

	if (PER_UNLIKELY(in->pos == in->len))
		return suspend(head, in, H1_FIELD_NAME);
	field->name_len = (uint16_t)(in->pos - field->name_off);
	if (PER_UNLIKELY(in->buf[in->pos] != ':' || field->name_len == 0))
		return -400;
	in->pos++;
	return H1_GO;
}

/* A complete line: where it begins, its colon and its CR. Whitespace around the value is no part of it. */
PER_INLINE void field_set(struct per__field *field, const uint8_t *buf, size_t start, size_t colon,
			  size_t end)
{
	size_t value = colon + 1;

	while (is_blank(buf[value]))
		value++;
	while (end > value && is_blank(buf[end - 1]))
		end--;
	field->name_off = (uint16_t)start;
	field->name_len = (uint16_t)(colon - start);
	field->value_off = (uint16_t)value;
	field->value_len = (uint16_t)(end - value);
}

/*
 * Is the rest of a host, from the first byte that is not of a name on, nothing, or a colon and one to four
 * digits? What it denies may still be a host.
 */
PER_INLINE bool is_plain_port(const uint8_t *src, size_t len)
{
	if (len == 0)
		return true;
	if (src[0] != ':' || len < 2 || len > 5)
		return false;
	for (size_t i = 1; i < len; i++) {
		if (src[i] < '0' || src[i] > '9')
			return false;
	}
	return true;
}

/* pos is behind the line's LF. */
PER_INLINE void value_end(struct per__field *field, const struct h1_input *in)
{
	size_t end = in->pos - 2;

	while (end > field->value_off && is_blank(in->buf[end - 1]))
		end--;
	field->value_len = (uint16_t)(end - field->value_off);
}

PER_INLINE int field_end(struct per__h1_head *head, struct h1_input *in)
{
	struct per__field *field = &head->fields[head->field_cnt];

	value_end(field, in);
	head->field_cnt++;

	const enum per__h1_known known = per__h1_known_from(in->buf + field->name_off, field->name_len);
	const int status =
		PER_LIKELY(known == PER__H1_UNKNOWN) ? 0 : per__h1_field_apply(head, known, in->buf, field);

	return status == 0 ? H1_GO : status;
}

PER_INLINE int trailer_end(struct per__h1_head *head, struct h1_input *in)
{
	struct per__field *field = &head->fields[head->field_cnt];

	value_end(field, in);
	if (!per__h1_trailer_is_dropped(in->buf + field->name_off, field->name_len))
		head->field_cnt++;
	return H1_GO;
}

PER_INLINE int head_end(struct per__h1_head *head, const struct h1_input *in)
{
	if (PER_UNLIKELY(head->notes != 0 || !(head->flags & PER__H1_HAS_HOST))) {
		const int status = per__h1_fields_judge(head);

		if (status != 0)
			return status;
	}
	return (int)in->pos;
}

/* --- instruction sets ------------------------------------------------------------------------- */

#define H1_NAME(name) name##_scalar
#define H1_TARGET
#include "http/h1_parse_impl.h"
#undef H1_NAME
#undef H1_TARGET

#if defined(H1_X86) || defined(H1_NEON)
/*
 * Sets of ASCII bytes by the two halves of a byte: bit h of entry l says that byte 16 * h + l is in the set.
 * row_bits turns h into its bit, 0 from 0x80 on.
 */
static const struct {
	_Alignas(16) uint8_t tchar[16];
	uint8_t regname[16];
	uint8_t row_bits[16];
} h1_sets = {
	{ 0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf8, 0xf8, 0xf4, 0x54, 0xd0, 0x54, 0xf4, 0x70 },
	{ 0xa8, 0xfc, 0xf8, 0xf8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xf4, 0x5c, 0x50, 0x5c, 0xd4, 0x70 },
	{ 1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0 },
};
#endif

#ifdef H1_X86

/* Signed comparison: what is below 0x21 includes everything from 0x80 on. '?' is DEL but for bit 6. */
PER_INLINE __attribute__((target("sse4.2"))) uint64_t stops_sse42(const uint8_t *src,
								  const enum per__h1_class kind)
{
	const __m128i block = _mm_loadu_si128((const __m128i *)(const void *)src);
	__m128i stop;

	if (kind == PER__H1_TCHAR || kind == PER__H1_REGNAME) {
		const uint8_t *set = kind == PER__H1_TCHAR ? h1_sets.tchar : h1_sets.regname;
		const __m128i high = _mm_and_si128(_mm_srli_epi16(block, 4), _mm_set1_epi8(15));
		const __m128i rows =
			_mm_shuffle_epi8(_mm_load_si128((const __m128i *)(const void *)set), block);
		const __m128i bits = _mm_shuffle_epi8(
			_mm_load_si128((const __m128i *)(const void *)h1_sets.row_bits), high);

		stop = _mm_cmpeq_epi8(_mm_and_si128(rows, bits), _mm_setzero_si128());
	} else if (kind == PER__H1_VALUE) {
		const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
		const __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
		const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));

		stop = _mm_or_si128(_mm_andnot_si128(tab, control), del);
	} else {
		const __m128i mark = kind == PER__H1_PATH ? _mm_or_si128(block, _mm_set1_epi8(0x40)) : block;

		stop = _mm_or_si128(_mm_cmpgt_epi8(_mm_set1_epi8(0x21), block),
				    _mm_cmpeq_epi8(mark, _mm_set1_epi8(0x7f)));
		stop = _mm_or_si128(stop, _mm_cmpeq_epi8(block, _mm_set1_epi8('#')));
	}
	return (uint32_t)_mm_movemask_epi8(stop);
}

#define H1_NAME(name) name##_sse42
#define H1_TARGET __attribute__((target("sse4.2")))
#define H1_BLOCK 16u
#define H1_STOP_BITS 1u
#include "http/h1_parse_impl.h"
#undef H1_NAME
#undef H1_TARGET
#undef H1_BLOCK

PER_INLINE __attribute__((target("avx2,bmi"))) uint64_t stops_avx2(const uint8_t *src,
								   const enum per__h1_class kind)
{
	const __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)src);
	__m256i stop;

	if (kind == PER__H1_TCHAR || kind == PER__H1_REGNAME) {
		const uint8_t *set = kind == PER__H1_TCHAR ? h1_sets.tchar : h1_sets.regname;
		const __m256i high = _mm256_and_si256(_mm256_srli_epi16(block, 4), _mm256_set1_epi8(15));
		const __m256i rows = _mm256_shuffle_epi8(
			_mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)set)),
			block);
		const __m256i bits =
			_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(
						    (const __m128i *)(const void *)h1_sets.row_bits)),
					    high);

		stop = _mm256_cmpeq_epi8(_mm256_and_si256(rows, bits), _mm256_setzero_si256());
	} else if (kind == PER__H1_VALUE) {
		const __m256i control =
			_mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
		const __m256i tab = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\t'));
		const __m256i del = _mm256_cmpeq_epi8(block, _mm256_set1_epi8(0x7f));

		stop = _mm256_or_si256(_mm256_andnot_si256(tab, control), del);
	} else {
		const __m256i mark =
			kind == PER__H1_PATH ? _mm256_or_si256(block, _mm256_set1_epi8(0x40)) : block;

		stop = _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), block),
				       _mm256_cmpeq_epi8(mark, _mm256_set1_epi8(0x7f)));
		stop = _mm256_or_si256(stop, _mm256_cmpeq_epi8(block, _mm256_set1_epi8('#')));
	}
	return (uint32_t)_mm256_movemask_epi8(stop);
}

#define H1_NAME(name) name##_avx2
#define H1_TARGET __attribute__((target("avx2,bmi")))
#define H1_BLOCK 32u
#include "http/h1_parse_impl.h"
#undef H1_NAME
#undef H1_TARGET
#undef H1_BLOCK
#undef H1_STOP_BITS
#endif

#ifdef H1_NEON

/* A mask has four bits per byte: the cheap way from a vector to a register. */
PER_INLINE uint64_t stops_neon(const uint8_t *src, const enum per__h1_class kind)
{
	const uint8x16_t block = vld1q_u8(src);
	uint8x16_t stop;

	if (kind == PER__H1_TCHAR || kind == PER__H1_REGNAME) {
		const uint8_t *set = kind == PER__H1_TCHAR ? h1_sets.tchar : h1_sets.regname;
		const uint8x16_t row = vqtbl1q_u8(vld1q_u8(set), vandq_u8(block, vdupq_n_u8(15)));
		const uint8x16_t bit = vqtbl1q_u8(vld1q_u8(h1_sets.row_bits), vshrq_n_u8(block, 4));

		stop = vceqq_u8(vandq_u8(row, bit), vdupq_n_u8(0));
	} else if (kind == PER__H1_VALUE) {
		const uint8x16_t control = vcltq_u8(block, vdupq_n_u8(0x20));
		const uint8x16_t tab = vceqq_u8(block, vdupq_n_u8('\t'));

		stop = vorrq_u8(vbicq_u8(control, tab), vceqq_u8(block, vdupq_n_u8(0x7f)));
	} else {
		stop = vorrq_u8(vcltq_u8(block, vdupq_n_u8(0x21)), vcgtq_u8(block, vdupq_n_u8(0x7e)));
		stop = vorrq_u8(stop, vceqq_u8(block, vdupq_n_u8('#')));
		if (kind == PER__H1_PATH)
			stop = vorrq_u8(stop, vceqq_u8(block, vdupq_n_u8('?')));
	}
	return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(stop), 4)), 0);
}

#define H1_NAME(name) name##_neon
#define H1_TARGET
#define H1_BLOCK 16u
#define H1_STOP_BITS 4u
#include "http/h1_parse_impl.h"
#undef H1_NAME
#undef H1_TARGET
#undef H1_BLOCK
#undef H1_STOP_BITS
#endif

/* --- entry points ----------------------------------------------------------------------------- */

void per__h1_head_init(struct per__h1_head *head, struct per__field *fields, uint16_t fields_cap)
{
	*head = (struct per__h1_head){ .fields = fields, .fields_cap = fields_cap };
}

void per__h1_trailers_init(struct per__h1_head *head, struct per__field *fields, uint16_t fields_cap)
{
	per__h1_head_init(head, fields, fields_cap);
	head->state = H1_LINE;
}

int per__h1_parse_scalar(struct per__h1_head *head, const struct per__h1_limits *limits, const uint8_t *buf,
			 size_t len)
{
	return parse_scalar(head, limits, buf, len);
}

int per__h1_parse_trailers(struct per__h1_head *head, const struct per__h1_limits *limits, const uint8_t *buf,
			   size_t len)
{
	struct h1_input in;

	PER_ASSERT(head->state >= H1_LINE);
	input_init(&in, head, limits, buf, len);

	const int result = fields_scalar(head, &in, head->state, true);

	return input_verdict(head, &in, result == H1_END ? (int)in.pos : result);
}

per__h1_parse_fn per__h1_parse_at(unsigned index, const char **name)
{
	per__h1_parse_fn fn[4] = { per__h1_parse_scalar };
	const char *names[4] = { "scalar" };
	unsigned count = 1;

#ifdef H1_X86
	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse4.2")) {
		fn[count] = parse_sse42;
		names[count++] = "sse4.2";
	}
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")) {
		fn[count] = parse_avx2;
		names[count++] = "avx2";
	}
#endif
#ifdef H1_NEON
	fn[count] = parse_neon;
	names[count++] = "neon";
#endif
	if (index >= count)
		return NULL;
	if (name != NULL)
		*name = names[index];
	return fn[index];
}

per__h1_parse_fn per__h1_parse_best(const char **name)
{
	per__h1_parse_fn best = per__h1_parse_scalar;

	for (unsigned i = 0; per__h1_parse_at(i, NULL) != NULL; i++)
		best = per__h1_parse_at(i, name);
	return best;
}
