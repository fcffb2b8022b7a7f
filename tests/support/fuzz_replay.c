/* SPDX-License-Identifier: MIT */
/*
 * fuzz_replay.c - runs a fuzzer's function once for every file of a folder, so that a corpus is a regression
 * test in ordinary builds too, without libFuzzer. Usage: NAME_replay FOLDER.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies to memory of the exact size, so that a sanitizer sees a read beyond it. */
static int file_replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return -1;
	int err = -1;
	uint8_t *data = NULL;
	if (fseek(file, 0, SEEK_END) != 0)
		goto close_file;
	long size = ftell(file);
	if (size < 0 || fseek(file, 0, SEEK_SET) != 0)
		goto close_file;
	data = malloc(size > 0 ? (size_t)size : 1);
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size)
		goto close_file;
	LLVMFuzzerTestOneInput(data, (size_t)size);
	err = 0;
close_file:
	free(data);
	fclose(file);
	return err;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	static const uint8_t nothing[1];
	LLVMFuzzerTestOneInput(nothing, 0);

	DIR *folder = opendir(argv[1]);
	int passed = 0, failed = 0;
	for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		if (file_replay(path) == 0) {
			passed++;
		} else {
			printf("FAIL %s cannot be read\n", path);
			failed++;
		}
	}
	if (folder != NULL)
		closedir(folder);
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed != 0 || passed == 0;
}
