/* SPDX-License-Identifier: MIT */
/*
 * mem.c - heap and pages from the system, counted. Called at startup, and by the pools that are built on it.
 * Exception to "no mutable file-scope state": the counter of allocations, for tests; nothing depends on it.
 */
#include "base/mem.h"

#include "base/base.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define PER__MEM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PER__MEM_ASAN 1
#endif
#endif

#ifdef PER__MEM_ASAN
#include <sanitizer/asan_interface.h>
#endif

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0 /* FreeBSD never reserves swap for private pages */
#endif

static uint64_t alloc_count;

static void alloc_counted(void)
{
	__atomic_fetch_add(&alloc_count, 1, __ATOMIC_RELAXED);
}

uint64_t per__mem_alloc_count(void)
{
	return __atomic_load_n(&alloc_count, __ATOMIC_RELAXED);
}

void *per__mem_alloc(size_t bytes)
{
	alloc_counted();
	return calloc(1, bytes != 0 ? bytes : 1);
}

void per__mem_free(void *ptr)
{
	free(ptr);
}

char *per__mem_strdup(const char *str)
{
	size_t bytes;
	char *copy;

	if (str == NULL)
		return NULL;
	bytes = strlen(str) + 1;
	copy = per__mem_alloc(bytes);
	if (copy != NULL)
		memcpy(copy, str, bytes);
	return copy;
}

void *per__mem_reserve(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *ptr;

	alloc_counted();
	ptr = mmap(NULL, bytes != 0 ? bytes : 1, PROT_READ | PROT_WRITE, flags, -1, 0);
	return ptr != MAP_FAILED ? ptr : NULL;
}

void per__mem_release(void *ptr, size_t bytes)
{
	if (ptr == NULL)
		return;
	per__mem_unpoison(ptr, bytes);
	PER_ASSERT(munmap(ptr, bytes != 0 ? bytes : 1) == 0);
}

void per__mem_unused(void *ptr, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = per__round_up((uintptr_t)ptr, page);
	uintptr_t end = ((uintptr_t)ptr + bytes) & ~(uintptr_t)(page - 1);

	if (begin >= end)
		return;
#ifdef __linux__ /* advice only: when the kernel refuses, the pages just stay */
	(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
#else
	(void)madvise((void *)begin, end - begin, MADV_FREE);
#endif
}

void per__mem_poison(const void *ptr, size_t bytes)
{
#ifdef PER__MEM_ASAN
	ASAN_POISON_MEMORY_REGION(ptr, bytes);
#else
	(void)ptr;
	(void)bytes;
#endif
}

void per__mem_unpoison(const void *ptr, size_t bytes)
{
#ifdef PER__MEM_ASAN
	ASAN_UNPOISON_MEMORY_REGION(ptr, bytes);
#else
	(void)ptr;
	(void)bytes;
#endif
}
