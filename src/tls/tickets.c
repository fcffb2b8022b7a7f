/* SPDX-License-Identifier: MIT */
/*
 * tickets.c - the keys of session tickets.
 */
#include "tls/tickets.h"

#include "base/mem.h"
#include <peregrine/types.h>

struct per__tls_tickets {
	uint32_t lifetime_s;
};

int per__tls_tickets_new(struct per__tls_tickets **out, uint32_t lifetime_s, int64_t now_ns)
{
	(void)now_ns;
	*out = per__mem_alloc(sizeof(**out));
	if (*out == NULL)
		return PER_ENOMEM;
	(*out)->lifetime_s = lifetime_s;
	return 0;
}

void per__tls_tickets_free(struct per__tls_tickets *tickets)
{
	per__mem_free(tickets);
}
