/* What was read from a pipe, in memory: a memory file would fall under the limit on file sizes (RLIMIT_FSIZE). */

struct bytes {
    char *at;
    size_t size, room;
    int mapped;
};

/* What comes first has room in any case, whatever the limits on memory are. A NUL always stands behind it. */
static char first_input[16 * 1024];
static struct bytes input = {first_input, 0, sizeof first_input, 0};

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

/* Whether standard input has been read into `input`, and whether there may be more of it. */
static int input_given, input_open;

/* Reads standard input into `input`, up to what we can make use of, and leaves the rest for later. */
static void read_input(void)
{
    int failed = 0;
    input_open = 1;
    while (input_open && input.size <= STDIN_LIMIT && has_room(&input)) {
        ssize_t size = take(0, &input, -1);
        if (size < 0 && errno == EAGAIN) /* a pipe that is empty and that the runtime made non-blocking */
            usleep(1000);
        else if (size == 0 || (size < 0 && errno != EINTR && failed++))
            input_open = 0;
        input_given |= size >= 0;
    }
}
