/* SPDX-License-Identifier: MIT */
/*
 * mem.h - where memory comes from. The only place of the project that calls malloc or mmap; used at startup
 * only. Reserved memory is address space: a page costs nothing until it is first written.
 */
#ifndef PER_BASE_MEM_H
#define PER_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/** Zeroed heap memory for start-up structures; NULL when there is none. Freed with per__mem_free(). */
void *per__mem_alloc(size_t bytes);
void per__mem_free(void *ptr);

/** A copy of a C string on the heap; NULL for NULL or when there is no memory. */
char *per__mem_strdup(const char *str);

/** Zeroed pages, aligned to the page size, given back with per__mem_release(); NULL when refused. */
void *per__mem_reserve(size_t bytes);
void per__mem_release(void *ptr, size_t bytes);

/**
 * Tells the kernel that the pages wholly inside [ptr, ptr + bytes) are not needed now; they read as zero or
 * as before.
 */
void per__mem_unused(void *ptr, size_t bytes);

/**
 * Calls of alloc, strdup and reserve in this process so far; any thread. A test sees that serving makes none.
 */
uint64_t per__mem_alloc_count(void);

/*
 * Marks memory as not to be touched (lent out, or free) and as usable again. Only AddressSanitizer builds act
 * on it.
 */
void per__mem_poison(const void *ptr, size_t bytes);
void per__mem_unpoison(const void *ptr, size_t bytes);

#endif
