/* SPDX-License-Identifier: MIT */
/*
 * h1_parse_impl.h - the scanning half of the HTTP/1 parser, compiled by h1_parse.c once per instruction set;
 * no include guard. Expects H1_NAME(x) (a suffix), H1_TARGET (a function attribute), and with SIMD H1_BLOCK
 * (bytes), H1_STOP_BITS (bits per byte of a mask) and H1_NAME(stops)(src, kind): a mask of the bytes of one
 * block that are not of that kind. Invariant: never reads outside [buf, buf + len): the buffer may end where
 * the page does.
 */

/*
 * The first position from pos on whose byte is not of that kind, or len. Behind the last whole block the one
 * that ends at len is looked at, with what lies before pos shifted out; only a buffer shorter than a block
 * goes byte by byte.
 */
PER_INLINE H1_TARGET size_t H1_NAME(scan)(const uint8_t *buf, size_t pos, size_t len,
					  const enum per__h1_class kind)
{
#ifdef H1_BLOCK
	for (; len - pos >= H1_BLOCK; pos += H1_BLOCK) {
		const uint64_t stops = H1_NAME(stops)(buf + pos, kind);

		if (stops != 0)
			return pos + (unsigned)__builtin_ctzll(stops) / H1_STOP_BITS;
	}
	if (len >= H1_BLOCK && pos < len) {
		const size_t back = pos - (len - H1_BLOCK);
		const uint64_t stops = H1_NAME(stops)(buf + len - H1_BLOCK, kind) >> (back * H1_STOP_BITS);

		return stops != 0 ? pos + (unsigned)__builtin_ctzll(stops) / H1_STOP_BITS : len;
	}
#endif
	while (pos < len && per__h1_class[buf[pos]] & kind)
		pos++;
	return pos;
}

/* The target, from any of its states to the space behind it. */
PER_INLINE H1_TARGET int H1_NAME(target)(struct per__h1_head *head, struct h1_input *in, uint8_t state)
{
	if (state == H1_TARGET_FIRST) {
		if (in->pos == in->len)
			return suspend(head, in, H1_TARGET_FIRST);
		if (target_begin(head, in) != H1_GO)
			return -400;
		state = H1_TARGET_PATH;
	}
	for (;;) {
		in->pos = state == H1_TARGET_PATH ? H1_NAME(scan)(in->buf, in->pos, in->len, PER__H1_PATH)
						  : H1_NAME(scan)(in->buf, in->pos, in->len, PER__H1_QUERY);

		const size_t target_len = in->pos - head->target_off;

		if (PER_UNLIKELY(target_len > in->limits->target_bytes_max))
			return -414;
		if (in->pos == in->len)
			return suspend(head, in, state);
		if (PER_LIKELY(in->buf[in->pos] == ' '))
			return target_end(head, in);
		if (target_len == in->limits->target_bytes_max)
			return -414;
		if (in->buf[in->pos] != '?') /* within a query it does not stop the scan */
			return -400;
		in->pos++;
		head->query_off = (uint16_t)in->pos;
		state = H1_TARGET_QUERY;
	}
}

#ifdef H1_BLOCK

/*
 * Takes note of what a field says. The Host field of every request has its usual shape judged here, without a
 * call.
 */
PER_INLINE H1_TARGET int H1_NAME(field_note)(struct per__h1_head *head, const struct h1_input *in,
					     const struct per__field *field)
{
	const enum per__h1_known known = per__h1_known_from(in->buf + field->name_off, field->name_len);

	if (PER_LIKELY(known == PER__H1_UNKNOWN))
		return H1_GO;
	if (PER_LIKELY(known == PER__H1_HOST)) {
		const size_t end = (size_t)field->value_off + field->value_len;
		const size_t stop = H1_NAME(scan)(in->buf, field->value_off, in->len, PER__H1_REGNAME);

		if (PER_LIKELY(stop > field->value_off && is_plain_port(in->buf + stop, end - stop)))
			return per__h1_host_set(head, field) == 0 ? H1_GO : -400;
	}

	const int status = per__h1_field_apply(head, known, in->buf, field);

	return status == 0 ? H1_GO : status;
}

/*
 * Field lines that are there as a whole, up to the first one that is not, or that is not good; the steps
 * behind this one find out which. A name and its colon are bytes that a value may have, so one scan finds the
 * end of the line without waiting for the name: the next line's address depends on nothing else (a third of
 * the time of a browser's head).
 */
PER_INLINE H1_TARGET int H1_NAME(lines)(struct per__h1_head *head, struct h1_input *in)
{
	const uint8_t *buf = in->buf;
	const size_t len = in->len;
	const uint32_t max = PER_MIN(in->limits->fields_max, head->fields_cap);
	struct per__field *fields = head->fields;
	uint32_t count = head->field_cnt;
	size_t pos = in->pos;
	int result = H1_GO;

	for (;;) {
		const size_t end = H1_NAME(scan)(buf, pos, len, PER__H1_VALUE);

		if (PER_UNLIKELY(len - end < 2 || per__h1_word16(buf + end) != per__h1_word16("\r\n")))
			break;
		if (end == pos) {
			pos += 2;
			result = H1_END;
			break;
		}

		const size_t colon = H1_NAME(scan)(buf, pos, len, PER__H1_TCHAR);

		if (PER_UNLIKELY(buf[colon] != ':' || colon == pos || count >= max))
			break;
		field_set(&fields[count], buf, pos, colon, end);
		result = H1_NAME(field_note)(head, in, &fields[count]);
		if (PER_UNLIKELY(result != H1_GO))
			break;
		count++;
		pos = end + 2;
	}
	head->field_cnt = head->line_cnt = (uint16_t)count;
	in->pos = pos;
	return result;
}

#endif

/* Field lines from any of their states to the empty line: H1_END, or what stopped it. */
PER_INLINE H1_TARGET int H1_NAME(fields)(struct per__h1_head *head, struct h1_input *in, uint8_t state,
					 const bool is_trailer)
{
	for (;; state = H1_LINE) {
		int result;

		switch (state) {
		default: /* H1_LINE, H1_END_LF */
#ifdef H1_BLOCK
			result = state == H1_LINE ? H1_NAME(lines)(head, in) : H1_GO;
			if (PER_LIKELY(result != H1_GO))
				return result;
#endif
			result = line_begin(head, in, state);
			if (PER_UNLIKELY(result != H1_GO))
				return result;
			/* fallthrough */
		case H1_FIELD_NAME:
			in->pos = H1_NAME(scan)(in->buf, in->pos, in->len, PER__H1_TCHAR);
			result = name_end(head, in);
			if (PER_UNLIKELY(result != H1_GO))
				return result;
			/* fallthrough */
		case H1_FIELD_BLANK:
			while (in->pos < in->len && is_blank(in->buf[in->pos]))
				in->pos++;
			if (in->pos == in->len)
				return suspend(head, in, H1_FIELD_BLANK);
			head->fields[head->field_cnt].value_off = (uint16_t)in->pos;
			/* fallthrough */
		case H1_FIELD_VALUE:
			in->pos = H1_NAME(scan)(in->buf, in->pos, in->len, PER__H1_VALUE);
			if (in->pos == in->len)
				return suspend(head, in, H1_FIELD_VALUE);
			if (PER_UNLIKELY(in->buf[in->pos] != '\r'))
				return -400;
			in->pos++;
			/* fallthrough */
		case H1_FIELD_LF:
			if (PER_UNLIKELY(in->pos == in->len))
				return suspend(head, in, H1_FIELD_LF);
			if (PER_UNLIKELY(in->buf[in->pos] != '\n'))
				return -400;
			in->pos++;
			result = is_trailer ? trailer_end(head, in) : field_end(head, in);
			if (PER_UNLIKELY(result != H1_GO))
				return result;
		}
	}
}

static H1_TARGET int H1_NAME(run)(struct per__h1_head *head, struct h1_input *in)
{
	uint8_t state = head->state;
	int result;

	if (state <= H1_METHOD) {
		result = method_parse(head, in);
		if (PER_UNLIKELY(result != H1_GO))
			return result;
		state = H1_TARGET_FIRST;
	}
	if (state <= H1_TARGET_QUERY) {
		result = H1_NAME(target)(head, in, state);
		if (PER_UNLIKELY(result != H1_GO))
			return result;
		state = H1_VERSION;
	}
	if (state == H1_VERSION) {
		result = version_parse(head, in);
		if (PER_UNLIKELY(result != H1_GO))
			return result;
		state = H1_LINE;
	}
	result = H1_NAME(fields)(head, in, state, false);
	return result == H1_END ? head_end(head, in) : result;
}

static H1_TARGET int H1_NAME(parse)(struct per__h1_head *head, const struct per__h1_limits *limits,
				    const uint8_t *buf, size_t len)
{
	struct h1_input in;

	input_init(&in, head, limits, buf, len);
	return input_verdict(head, &in, H1_NAME(run)(head, &in));
}
