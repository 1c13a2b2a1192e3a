/* What is said without an interpreter: lines on standard error, the error of the CNI specification. All is bounded. */

#define LATEST "1.1.0" /* protocol.py's */
#define INTERNAL 999   /* code of EniLedgerError, errors.py */

static const char *const VERSIONS[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}; /* protocol.py's */

/* What is known of a call: the variable, the journal's field, the event's key. */
static const struct {
    const char *variable, *field, *key;
} OF_THE_CALL[] = {{"CNI_CONTAINERID", "CONTAINER_ID", "container_id"}, {"CNI_IFNAME", "IFNAME", "ifname"},
                   {"CNI_NETNS", "NETNS", "netns"}};

/* Writes everything. A call that fails once is made again; 0 when it keeps failing. */
static int write_all(int fd, const char *data, size_t size)
{
    int failed = 0;
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EAGAIN) /* a pipe that is full and that the runtime made non-blocking */
            usleep(1000);
        else if (done < 0 && errno != EINTR && failed++)
            return 0;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
            failed = 0;
        }
    }
    return 1;
}

/* A line on standard error. Control characters become spaces. */
static void say(const char *what, const char *why)
{
    char line[1024];
    snprintf(line, sizeof line - 1, "eni-ledger: %s%s%s", what, *why ? ": " : "", why);
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    strcat(line, "\n");
    write_all(2, line, strlen(line));
}

/* The error of the CNI specification on standard output; `conf` is the network configuration, as far as it is known. */
static int answer_error(const char *conf, int code, const char *msg, const char *details)
{
    char text[4096], version[16] = "", *at = text;
    const char *said = LATEST, *end = text + sizeof text - 64;
    if (is_object(conf))
        member(conf, "cniVersion", version, sizeof version);
    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++)
        if (strcmp(version, VERSIONS[i]) == 0)
            said = VERSIONS[i];
    at += sprintf(at, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", said, code);
    at = add_string(at, text + sizeof text / 2, msg);
    at += sprintf(at, ",\"details\":");
    at = add_string(at, end, details);
    strcpy(at, "}");
    return write_all(1, text, strlen(text));
}

/* Whether a runtime calls a plugin. */
static int is_plugin_call(int argc)
{
    int found = getenv("CNI_COMMAND") != NULL;
    for (size_t i = 0; argc <= 1 && i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        found |= getenv(OF_THE_CALL[i].variable) != NULL;
    return found;
}

/* Nothing of ours can run: says so on standard error, and to a runtime in the form that it reads. */
static void give_up(int is_call, const char *what, const char *why)
{
    say(what, why);
    if (is_call) {
        if (!input_given && !isatty(0))
            read_input();
        answer_error(input.at, INTERNAL, what, why);
    }
    _exit(1);
}
