/* What could not be recorded, and why: an entry in the journal, a line in failures.jsonl. Nothing here waits. */

#define FAILURES "failures.jsonl"                     /* health.py's */
#define FAILURES_LIMIT (1 << 20)                      /* bytes; health.py's */
#define FAILURE_ID "6e72e5f6e31a4ffdb8091d26d7b0db51" /* journald.py's */

static const char *const JOURNAL[] = {"/run/systemd/journal/socket", "/var/run/systemd/journal/socket"}; /* journald.py's */

/* Whether a value can stand in an entry as it is. */
static int is_plain(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    return size && size < 400;
}

/* An entry in the journal, as journald.py's send_failure writes it. Whether journald took it. */
static int tell_journal(const char *event, const char *message)
{
    char entry[4096];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size, taken = 0;
    snprintf(entry, 2048, "MESSAGE=%s", message);
    for (size = 0; entry[size]; size++)
        if ((unsigned char)entry[size] < ' ' || entry[size] == 0x7f)
            entry[size] = ' ';
    size += sprintf(entry + size, "\nPRIORITY=3\nSYSLOG_IDENTIFIER=eni-ledger\nSYSLOG_FACILITY=3\nMESSAGE_ID=" FAILURE_ID
                                  "\nERROR_CODE=%d\nEVENT=%s\n", INTERNAL, event);
    for (size_t i = 0; i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        if (is_plain(getenv(OF_THE_CALL[i].variable)))
            size += sprintf(entry + size, "%s=%s\n", OF_THE_CALL[i].field, getenv(OF_THE_CALL[i].variable));
    for (size_t i = 0; fd >= 0 && !taken && i < sizeof JOURNAL / sizeof *JOURNAL; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, JOURNAL[i]);
        taken = sendto(fd, entry, (size_t)size, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) >= 0;
    }
    if (fd >= 0)
        close(fd);
    return taken;
}

/* Whether only root and this user can write to what `fd` is. */
static int is_trusted(int fd, struct stat *found)
{
    return fstat(fd, found) == 0 && (found->st_uid == 0 || found->st_uid == geteuid()) && !(found->st_mode & 022);
}

/* Whether the file `name` begins with `text`. */
static int begins(int directory, const char *name, const char *text)
{
    char head[16];
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, head, strlen(text)) : -1;
    if (fd >= 0)
        close(fd);
    return size == (ssize_t)strlen(text) && memcmp(head, text, (size_t)size) == 0;
}

/* Whether a directory is one for a ledger: it holds one, or what is noted about one, or nothing. foreign.py knows more. */
static int is_for_a_ledger(int directory)
{
    if (begins(directory, "ledger.jsonl", "{\"ts\":\"") || begins(directory, FAILURES, "{\""))
        return 1;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), others = 0;
    DIR *listed = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *each; listed && !others && (each = readdir(listed));)
        others = strcmp(each->d_name, ".") != 0 && strcmp(each->d_name, "..") != 0;
    if (listed)
        closedir(listed);
    else if (fd >= 0)
        close(fd);
    return listed && !others;
}

/* A line in failures.jsonl of the state directory, if there is one: health.py's note_failure. Whether it is there. */
static int note_failure(const char *state, const char *event, const char *message)
{
    char line[4096], when[32], *at = line;
    const char *end = line + sizeof line - 512;
    struct timespec now;
    struct tm utc;
    struct stat found;
    int directory = open(state, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    at += sprintf(at, "{\"event\":\"%s\"", event);
    for (size_t i = 0; i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        if (is_plain(getenv(OF_THE_CALL[i].variable))) {
            at += sprintf(at, ",\"%s\":", OF_THE_CALL[i].key);
            at = add_string(at, end, getenv(OF_THE_CALL[i].variable));
        }
    at += sprintf(at, ",\"ts\":\"%s.%06ldZ\",\"code\":%d,\"msg\":", when, now.tv_nsec / 1000, INTERNAL);
    at = add_string(at, end, message);
    at += sprintf(at, "}\n");
    if (directory >= 0 && is_trusted(directory, &found) && is_for_a_ledger(directory))
        fd = openat(directory, FAILURES, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
    int noted = fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 &&
                found.st_size < FAILURES_LIMIT && write_all(fd, line, (size_t)(at - line));
    if (fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    return noted;
}
