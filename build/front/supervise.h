/* A delegate at work, and beside it the recorder: a process of its own, in which the interpreter runs.
 *
 * Whatever becomes of the recorder (an error, a limit on memory, a signal, a disk that does not answer), this process
 * hands the delegate's answer on and ends as the delegate ended. It allocates nothing that it cannot do without, and a
 * system call that fails is made again. The recorder's descriptors are its own: those of the runtime must not stay open
 * behind us.
 *
 * On its control socket the recorder gets the delegate's end and answer (struct ended), and it says HAND_ON once the
 * answer can be passed on, or the error to answer with in its place, as JSON. What it says on standard error is kept: a
 * runtime takes that for the reason of a call that failed without an answer (libcni's invoke), so it is no place for us then.
 */

#define HAND_ON 'a'
#define RECORD_NS 900000000 /* how long after the delegate's end the answer waits for its record */
#define NOTE_MS 50          /* how long it waits for a line in failures.jsonl */
#define LINGER_S 5          /* seconds that a recorder may go on after us */

struct ended {
    int32_t status;
    uint32_t size;
    int64_t took_ns;
};

/* `pid` is 0 once there is none; `why` is how it failed. */
static struct {
    pid_t pid;
    int control, words, status, late;
    char why[128];
} recorder = {.control = -1, .words = -1};

/* What has come of the delegate. `taken` are the bytes of its answer that have been read, `sent` those that the recorder
 * has, `passed` those that the runtime has; `spilt` is whether the answer goes to it at once, there being no memory to keep
 * it in. */
static struct {
    int over, handed, refused, unwritten, spilt;
    struct ended ended;
    size_t sent, passed, taken;
    int64_t at;
} outcome;

static volatile sig_atomic_t pending[NSIG];

static void on_signal(int number)
{
    pending[number] = 1;
}

/* --- the recorder's own side ---------------------------------------------------------------------------------------- */

/* The process that started us is gone: so is whatever we are to do before long. */
static void on_orphaned(int number)
{
    disposition(number, SIG_DFL);
    alarm(LINGER_S);
}

static void become_recorder(int control, int line, pid_t parent)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    if (!TRIED(dup2(control, 0)) || !TRIED(dup2(control, 1)) || !TRIED(dup2(line, 2)))
        _exit(1);
    close_once(&early.to);
    close_once(&early.from);
    syscall(SYS_close_range, 3, ~0U, 0); /* Linux 5.9; before, what the runtime left open stays so */
    disposition(SIGALRM, on_orphaned);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    prctl(PR_SET_PDEATHSIG, SIGALRM);
    if (getppid() != parent)
        _exit(1);
}

/* Starts it; comes back in both processes, and without one when there can be none. */
static void fork_recorder(void)
{
    int control[2], line[2];
    pid_t parent = getpid();
    if (!TRIED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control)) || !TRIED(pipe2(line, O_CLOEXEC)) ||
        !TRIED(recorder.pid = fork())) {
        snprintf(recorder.why, sizeof recorder.why, "there can be no process to do it: %s", strerror(errno));
        recorder.pid = 0;
        return;
    }
    if (recorder.pid == 0) {
        recorder.pid = -1;
        become_recorder(control[1], line[1], parent);
        return;
    }
    shut(control[1]);
    shut(line[1]);
    recorder.control = control[0];
    recorder.words = line[0];
    TRIED(fcntl(recorder.control, F_SETFL, O_NONBLOCK));
    TRIED(fcntl(recorder.words, F_SETFL, O_NONBLOCK));
}

/* --- ours ------------------------------------------------------------------------------------------------------------ */

/* Takes what the delegate has answered so far. */
static void drain(void)
{
    static int errors;
    ssize_t size = early.is_file && !outcome.over ? 0 : 1;
    while (early.from >= 0 && (size > 0 || (size < 0 && errno != EAGAIN))) { /* the last time, what fails is lost */
        off_t at = early.is_file ? (off_t)outcome.taken : -1;
        char chunk[4096];
        if (!outcome.spilt && !has_room(&answer)) {
            outcome.spilt = 1;
            if (!settings.must_record)
                outcome.unwritten |= !write_all(1, answer.at, outcome.passed = answer.size);
        }
        size = !outcome.spilt  ? take(early.from, &answer, at)
               : early.is_file ? pread(early.from, chunk, sizeof chunk, at)
                               : read(early.from, chunk, sizeof chunk);
        outcome.taken += size > 0 ? (size_t)size : 0;
        if (size > 0 && outcome.spilt && !settings.must_record)
            outcome.unwritten |= !write_all(1, chunk, (size_t)size);
        if (!goes_on(size, &errors))
            close_once(&early.from);
    }
}

/* Takes what the recorder says; what is more than we keep is thrown away. */
static void listen_to(int *fd, struct bytes *to)
{
    static int errors;
    ssize_t size = 1;
    while (*fd >= 0 && size > 0) {
        char chunk[4096];
        size = to->size + 1 < to->room ? take(*fd, to, -1) : read(*fd, chunk, sizeof chunk);
        if (!goes_on(size, &errors))
            close_once(fd);
    }
}

/* Tells the recorder how the delegate ended. */
static void inform(void)
{
    while (outcome.over && recorder.control >= 0 && outcome.sent < sizeof outcome.ended + outcome.ended.size) {
        const char *head = (const char *)&outcome.ended;
        size_t at = outcome.sent, rest = sizeof outcome.ended;
        const char *from = at < rest ? head + at : answer.at + (at - rest);
        ssize_t size = write(recorder.control, from, at < rest ? rest - at : outcome.ended.size - (at - rest));
        if (size <= 0)
            return;
        outcome.sent += (size_t)size;
    }
}

/* Whether the child `pid` has ended, with `status`. */
static int has_ended(pid_t pid, int *status)
{
    static int errors;
    pid_t found = waitpid(pid, status, WNOHANG);
    if (found < 0 && ++errors > 100) /* there is no such child: not to be, and not to be waited for */
        *status = 1 << 8;
    return found == pid || (found < 0 && errors > 100);
}

/* Notices the end of a process, and passes on what signals have come. */
static void notice(void)
{
    int status;
    for (const int *number = FORWARDED; *number && !outcome.over; number++)
        if (pending[*number]) {
            pending[*number] = 0;
            kill(early.pid, *number); /* not waited for yet, so the number is still its own */
        }
    if (!outcome.over && has_ended(early.pid, &status)) {
        outcome.over = 1;
        outcome.at = monotonic_ns();
        drain();
        close_once(&early.from);
        close_once(&early.to);
        size_t size = answer.size < STDIN_LIMIT ? answer.size : STDIN_LIMIT;
        outcome.ended = (struct ended){status, (uint32_t)size, outcome.at - early.started};
    }
    if (recorder.pid && has_ended(recorder.pid, &recorder.status)) {
        recorder.pid = 0;
        listen_to(&recorder.control, &said);
        if (WIFSIGNALED(recorder.status))
            snprintf(recorder.why, sizeof recorder.why, "the recorder was ended by signal %d", WTERMSIG(recorder.status));
        else
            snprintf(recorder.why, sizeof recorder.why, "the recorder ended with status %d", WEXITSTATUS(recorder.status));
    }
}

/* Hands the answer on once it is recorded, or will not be. */
static void settle(void)
{
    int ready = said.size && *said.at == HAND_ON;
    if (outcome.over && recorder.pid && monotonic_ns() - outcome.at > RECORD_NS && !recorder.late) {
        recorder.late = 1;
        snprintf(recorder.why, sizeof recorder.why, "it is not done %d ms after the delegate", RECORD_NS / 1000000);
        if (!ready && settings.must_record)
            kill(recorder.pid, SIGKILL);
    }
    if (!outcome.over || outcome.handed || !(ready || !recorder.pid || recorder.late))
        return;
    outcome.handed = 1;
    outcome.refused = !ready && settings.must_record && outcome.ended.status == 0;
    if (!outcome.refused)
        outcome.unwritten |= !write_all(1, answer.at + outcome.passed, answer.size - outcome.passed);
    else if (said.size && !recorder.pid)
        outcome.unwritten |= !write_all(1, said.at, said.size);
    else
        outcome.unwritten |= !answer_error(input.at, INTERNAL, "the call is not recorded", recorder.why);
}

/* note_failure in a process of its own: the disk may be what does not answer. */
static int note_beside(const char *state, const char *event, const char *why)
{
    int status = 1, null;
    pid_t pid = fork();
    if (pid < 0)
        return note_failure(state, event, why);
    if (pid == 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; fd++) /* the runtime waits until nobody has its pipes open */
            if (null < 0 || dup2(null, fd) < 0)
                close(fd);
        alarm(LINGER_S);
        _exit(!note_failure(state, event, why));
    }
    for (int left = NOTE_MS; left && waitpid(pid, &status, WNOHANG) == 0; left--)
        usleep(1000);
    return status == 0;
}

/* Says what there is to be said, where it can do no harm, and ends as the delegate ended. */
static void finish(void)
{
    int status = outcome.ended.status, number = WTERMSIG(status);
    int quiet = status != 0 && answer.size == 0;
    sigset_t one;
    listen_to(&recorder.words, &words);
    if (!quiet)
        write_all(2, words.at, words.size);
    if (!said.size || (*said.at != HAND_ON && !outcome.refused)) { /* else the recorder has said so */
        char why[1024];
        snprintf(why, sizeof why, "%s%s%.800s", recorder.why, words.size ? ": " : "", words.at);
        unrecorded(quiet ? why : recorder.why, quiet ? NEVER : ALOUD, note_beside);
    }
    if (outcome.unwritten)
        say("the answer cannot be written to standard output", "");
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status) || !(outcome.refused || outcome.unwritten) ? WEXITSTATUS(status) : 1);
    TRIED(prctl(PR_SET_DUMPABLE, 0)); /* no core of ours in the place of its */
    disposition(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    TRIED(sigprocmask(SIG_UNBLOCK, &one, NULL));
    TRIED(kill(getpid(), number));
    _exit(128 + number); /* process 1 of a container is not ended by its own signals */
}

/* Be to the runtime what the delegate is. */
static void supervise(void)
{
    sigset_t open = early.mask;
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&early.awaited, number) == 1) {
            disposition(number, on_signal);
            sigdelset(&open, number);
        }
    for (;;) {
        feed();
        drain();
        listen_to(&recorder.control, &said);
        listen_to(&recorder.words, &words);
        notice();
        inform();
        settle();
        if (outcome.handed && (!recorder.pid || recorder.late))
            finish();
        int writing = outcome.over && outcome.sent < sizeof outcome.ended + outcome.ended.size;
        int reading = early.to >= 0 && early.fed == input.size;
        struct pollfd of[] = {{.fd = reading ? 0 : -1, .events = POLLIN},
                              {.fd = reading ? -1 : early.to, .events = POLLOUT},
                              {.fd = early.is_file ? -1 : early.from, .events = POLLIN},
                              {.fd = recorder.control, .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
                              {.fd = recorder.words, .events = POLLIN}};
        int64_t left = RECORD_NS - (outcome.over ? monotonic_ns() - outcome.at : 0);
        struct timespec longest = {.tv_sec = 0, .tv_nsec = left > 0 ? (long)left + 1000000 : 1000000};
        int found = ppoll(of, sizeof of / sizeof *of, &longest, &open);
        early.ready = found > 0 && of[0].revents;
        if (found < 0 && errno != EINTR)
            usleep(1000);
    }
}
