/* What was read from a pipe, in memory: a memory file would fall under the limit on file sizes (RLIMIT_FSIZE). */

#define CONFIG_LIMIT (64 * 1024) /* bytes of a configuration file; config.py's CONFIG_FILE_LIMIT */

struct bytes {
    char *at;
    size_t size, room;
    int mapped;
};

/* What comes first has room in any case, whatever the limits on memory are. A NUL always stands behind it. */
static char first_input[16 * 1024], first_answer[CONFIG_LIMIT + 2], first_said[4096], first_words[8192];
static struct bytes input = {first_input, 0, sizeof first_input, 0}, answer = {first_answer, 0, sizeof first_answer, 0},
                    said = {first_said, 0, sizeof first_said, 0}, words = {first_words, 0, sizeof first_words, 0};

/* Whether a byte more has room, after the buffer has grown if it has to. */
static int has_room(struct bytes *in)
{
    if (in->size + 1 < in->room)
        return 1;
    char *more = mmap(NULL, in->room * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED)
        return 0;
    memcpy(more, in->at, in->size);
    if (in->mapped)
        munmap(in->at, in->room);
    *in = (struct bytes){more, in->size, in->room * 2, 1};
    return 1;
}

/* Reads once, as read(2), or as pread(2) unless `from` is negative. There has to be room. */
static ssize_t take(int fd, struct bytes *to, off_t from)
{
    char *end = to->at + to->size;
    size_t room = to->room - to->size - 1;
    ssize_t size = from < 0 ? read(fd, end, room) : pread(fd, end, room, from);
    if (size > 0) {
        to->size += (size_t)size;
        to->at[to->size] = '\0';
    }
    return size;
}
