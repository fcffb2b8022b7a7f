/* SPDX-License-Identifier: MIT */
/*
 * config_load.c - a configuration from its file and back: libcyaml between the two. What the values mean is
 * checked elsewhere.
 */
#include "config.h"

#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)8 << 20)

static void *memory(void *user, void *old, size_t bytes)
{
	(void)user;
	if (bytes == 0) {
		free(old);
		return NULL;
	}
	return realloc(old, bytes);
}

static const cyaml_config_t quiet = { .mem_fn = memory, .log_level = CYAML_LOG_ERROR };

bool config_set(char **text, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return false;
	free(*text);
	*text = copy;
	return true;
}

/* Opens a file, but nothing that could keep the reader waiting: during a reload no signal is heard. */
static FILE *file_open(const char *path, struct complaints *complaints)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct stat info;

	if (file == NULL || fstat(fd, &info) != 0) {
		complain_at(complaints, 0, "", "cannot read it: %s", strerror(errno));
	} else if (!S_ISREG(info.st_mode)) {
		complain_at(complaints, 0, "", "cannot read it: %s",
			    S_ISDIR(info.st_mode) ? strerror(EISDIR) : "not a regular file");
	} else {
		return file;
	}
	if (file != NULL)
		(void)fclose(file);
	else if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/* A whole file, to be freed; NULL after a complaint. */
static char *file_read(const char *path, size_t *len, struct complaints *complaints)
{
	FILE *file = file_open(path, complaints);
	char *text = NULL;

	if (file == NULL)
		return NULL;
	text = malloc(FILE_BYTES_MAX + 1);
	if (text != NULL)
		*len = fread(text, 1, FILE_BYTES_MAX + 1, file);
	if (text == NULL || ferror(file) || *len > FILE_BYTES_MAX) {
		complain_at(complaints, 0, "", "cannot read it: %s",
			    text == NULL   ? "out of memory"
			    : ferror(file) ? strerror(errno)
					   : "larger than 8 MiB");
		free(text);
		text = NULL;
	}
	(void)fclose(file);
	return text;
}

static void keep_message(cyaml_log_t level, void *user, const char *format, va_list args)
{
	char *last = user;

	(void)level;
	/* the first message says what is wrong, the others where */
	if (last[0] == '\0')
		vsnprintf(last, COMPLAINT_BYTES_MAX, format, args);
}

/* From text to structure; the form is known to be good, so what fails here is memory. */
static struct config *convert(const char *text, size_t len, struct complaints *complaints)
{
	char message[COMPLAINT_BYTES_MAX] = "";
	cyaml_config_t talking = quiet;
	cyaml_data_t *data = NULL;
	cyaml_err_t err;

	talking.log_fn = keep_message;
	talking.log_ctx = message;
	err = cyaml_load_data((const uint8_t *)text, len, &talking, &config_schema, &data, NULL);
	if (err == CYAML_OK)
		return data;
	message[strcspn(message, "\n")] = '\0';
	complain_at(complaints, 0, "", "%s", message[0] != '\0' ? message : cyaml_strerror(err));
	return NULL;
}

static struct config *text_load(const char *text, size_t len, struct complaints *complaints)
{
	struct tree *tree = tree_parse(text, len, complaints);

	complaints->tree = tree; /* kept, so that later complaints find their lines */
	if (tree == NULL || !schema_check(tree, &config_schema, complaints))
		return NULL;
	return convert(text, len, complaints);
}

struct config *config_load(const char *path, const char *text, struct complaints *complaints)
{
	struct config *config;
	size_t len = 0;
	char *read;

	complaints->file = path;
	if (text != NULL)
		return text_load(text, strlen(text), complaints);
	read = file_read(path, &len, complaints);
	if (read == NULL)
		return NULL;
	config = text_load(read, len, complaints);
	free(read);
	return config;
}

void config_free(struct config *config)
{
	if (config != NULL)
		(void)cyaml_free(&quiet, &config_schema, config, 0);
}

bool config_dump(const struct config *config)
{
	cyaml_config_t block = quiet;
	char *text = NULL;
	size_t len = 0;
	cyaml_err_t err;

	block.flags = CYAML_CFG_STYLE_BLOCK;
	err = cyaml_save_data(&text, &len, &block, &config_schema, config, 0);
	if (err != CYAML_OK) {
		fprintf(stderr, "peregrine: cannot write the configuration: %s\n", cyaml_strerror(err));
		return false;
	}
	(void)fwrite(text, 1, len, stdout);
	free(text);
	return true;
}
