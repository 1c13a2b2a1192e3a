/* The interpreter, our modules and a few system calls in one executable: what records a call, and answers plain questions.
 *
 * PyInstaller's bootloader executes itself a second time (for LD_LIBRARY_PATH), loads a libpython that has 50,000 addresses
 * to relocate, and has the interpreter look for modules in directories; that was half of what an ADD cost. Here libpython is
 * linked in, from its static archive, everything is frozen, and nothing is searched for. Only what Python documents for
 * embedding is used ("Python Initialization Configuration", "Importing Modules").
 *
 * The front door starts it (parts.h). front_modules.h is closure.py's: FROZEN_MODULES, the modules as marshalled code.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "front_modules.h"

#define TEXT_OF(x) #x
#define VERSION_OF(major, minor) TEXT_OF(major) "." TEXT_OF(minor)
#define EXTENSIONS "/_internal/python" VERSION_OF(PY_MAJOR_VERSION, PY_MINOR_VERSION) "/lib-dynload" /* C modules */
#define FRONT_DOOR "/eni-ledger"

/* Each uses what stands before it. */
#include "parts.h"
#include "json.h"
#include "kept.h"
#include "words.h"

/* What the front door says of the call: the errno of why there is no delegate, whether we are to record one. */
static int refused, recording;

/* --- the recorder --------------------------------------------------------------------------------------------------- */

/* The front door is gone: so is whatever we are to do before long. What it said is still to be read. */
static void on_orphaned(int number)
{
    disposition(number, SIG_DFL);
    alarm(LINGER_S);
}

/* Records for the process `parent`, and does not outlive it for long. */
static void become_recorder(int parent)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    disposition(SIGALRM, on_orphaned);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    prctl(PR_SET_PDEATHSIG, SIGALRM);
    if (getppid() != parent) /* it was gone before the kernel could be told */
        on_orphaned(SIGALRM);
    recording = 1;
}

/* Reads `size` bytes of what the front door says. When it is gone there is no delegate any more, and nothing to record. */
static void hear(char *to, size_t size)
{
    while (size) {
        ssize_t done = read(0, to, size);
        if (done == 0 || (done < 0 && errno != EINTR))
            _exit(1);
        if (done > 0) {
            to += done;
            size -= (size_t)done;
        }
    }
}

/* --- eni_ledger.plugin.process: see process.py --------------------------------------------------------------------- */

/* (what standard input gave or None, the errno of why there is no delegate, whether there is one). Only the recorder gets
 * standard input from the front door. */
static PyObject *process_early(PyObject *self, PyObject *nothing)
{
    struct begun begun;
    if (!recording)
        return Py_BuildValue("(Oii)", Py_None, refused, 0);
    hear((char *)&begun, sizeof begun);
    PyObject *text = PyBytes_FromStringAndSize(NULL, begun.size);
    if (!text)
        return NULL;
    hear(PyBytes_AS_STRING(text), begun.size);
    if (!begun.given) {
        Py_DECREF(text);
        text = Py_NewRef(Py_None);
    }
    return Py_BuildValue("(Nii)", text, 0, 1);
}

static PyObject *process_wait(PyObject *self, PyObject *nothing)
{
    struct ended ended;
    hear((char *)&ended, sizeof ended);
    PyObject *text = PyBytes_FromStringAndSize(NULL, ended.size);
    if (!text)
        return NULL;
    hear(PyBytes_AS_STRING(text), ended.size);
    return Py_BuildValue("(iNd)", (int)ended.status, text, (double)ended.took_ns / 1e6);
}

static PyObject *process_has_ended(PyObject *self, PyObject *milliseconds)
{
    struct pollfd control = {.fd = 0, .events = POLLIN};
    int longest = (int)PyLong_AsLong(milliseconds);
    if (longest == -1 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(poll(&control, 1, longest) > 0);
}

static PyObject *process_forward_answer(PyObject *self, PyObject *nothing)
{
    char word = HAND_ON;
    write_all(1, &word, 1);
    Py_RETURN_NONE;
}

static PyObject *process_is_marked(PyObject *self, PyObject *nothing)
{
    return PyBool_FromLong(is_marked());
}

static PyMethodDef process_functions[] = {
    {"early", process_early, METH_NOARGS, NULL},
    {"wait", process_wait, METH_NOARGS, NULL},
    {"has_ended", process_has_ended, METH_O, NULL},
    {"forward_answer", process_forward_answer, METH_NOARGS, NULL},
    {"is_marked", process_is_marked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef process_module = {PyModuleDef_HEAD_INIT, .m_name = PROCESS, .m_methods = process_functions};

static PyObject *setns_setns(PyObject *self, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (setns(number, CLONE_NEWNET) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef setns_functions[] = {
    {"setns", setns_setns, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef setns_module = {PyModuleDef_HEAD_INIT, .m_name = SETNS, .m_methods = setns_functions};

/* Makes a module and puts it where an import of it looks first. */
static int add_module(struct PyModuleDef *definition)
{
    PyObject *module = PyModule_Create(definition);
    return module ? PyDict_SetItemString(PyImport_GetModuleDict(), definition->m_name, module) : -1;
}

/* --- the interpreter ----------------------------------------------------------------------------------------------- */

/* A page fault costs more than what it is for, the more so in a virtual machine, and the interpreter writes to nearly
 * every page of its data (reference counts): they are asked for at once, a tenth of a start. Before Linux 5.14 the kernel
 * does not know how, and nothing happens. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
static void populate_data(void)
{
    extern char __data_start[], _edata[];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)__data_start & -page;
    madvise((void *)start, (uintptr_t)_edata - start, MADV_POPULATE_WRITE);
}

/* As CPython's own, but that the pages of the first arena are asked for at once as well: each call fills it. */
static void *allocate_arena(void *context, size_t size)
{
    static int others;
    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return NULL;
    if (!others++)
        madvise(arena, size, MADV_POPULATE_WRITE);
    return arena;
}

static void free_arena(void *context, void *arena, size_t size)
{
    munmap(arena, size);
}

/* An interpreter that takes nothing from the environment, has no `site`, and installs no signal handlers. `directory` is
 * that of the bundle. Every path is given: else the interpreter would look for its library. C modules that are not linked in
 * lie in EXTENSIONS; all else that can be imported is frozen. */
static PyStatus configure(int argc, char **argv, const char *directory)
{
    char front[PATH_MAX + sizeof FRONT_DOOR], extensions[PATH_MAX + sizeof EXTENSIONS];
    const char *prefix = *directory ? directory : "/";
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        return status;
    PyObjectArenaAllocator arenas = {NULL, allocate_arena, free_arena};
    PyObject_SetArenaAllocator(&arenas);
    snprintf(front, sizeof front, "%s" FRONT_DOOR, directory);
    snprintf(extensions, sizeof extensions, "%s" EXTENSIONS, directory);
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.parse_argv = 0;
    config.write_bytecode = 0;
    config.optimization_level = 2;
    config.module_search_paths_set = 1;
    const struct {
        wchar_t **to;
        const char *path;
    } known[] = {{&config.executable, front}, {&config.base_executable, front},
                 {&config.home, prefix}, {&config.stdlib_dir, prefix},
                 {&config.prefix, prefix}, {&config.base_prefix, prefix},
                 {&config.exec_prefix, prefix}, {&config.base_exec_prefix, prefix}};
    for (size_t i = 0; i < sizeof known / sizeof *known && !PyStatus_Exception(status); i++)
        status = PyConfig_SetBytesString(&config, known[i].to, known[i].path);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(&config, argc, argv);
    wchar_t *searched = Py_DecodeLocale(extensions, NULL);
    if (searched && !PyStatus_Exception(status))
        status = PyWideStringList_Append(&config.module_search_paths, searched);
    PyMem_RawFree(searched);
    PyImport_FrozenModules = FROZEN_MODULES;
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* The exception that was raised, if any; there is none any more. */
static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyErr_NormalizeException(&kind, &value, &trace);
    return value;
#endif
}

/* Takes up the role that the front door gave us. 0 when it is none. */
static int take_role(int argc, char **argv)
{
    if (argc < 3)
        return 0;
    if (strncmp(argv[1], RECORD, strlen(RECORD)) == 0)
        become_recorder(atoi(argv[1] + strlen(RECORD)));
    else if (strncmp(argv[1], REFUSED, strlen(REFUSED)) == 0)
        refused = atoi(argv[1] + strlen(REFUSED));
    else
        return strcmp(argv[1], CALL) == 0;
    return 1;
}

/* front_door.py ends the process. To come back from it means that it could not begin. */
int main(int argc, char **argv)
{
    char directory[PATH_MAX];
    if (!take_role(argc, argv)) {
        say("this program is a part of eni-ledger and does nothing alone", "");
        return 2;
    }
    populate_data();
    argc -= 2;
    argv += 2;
    int is_call = !recording && (refused || is_plugin_call(argc));
    char *inner = path_beside("", directory) ? strrchr(directory, '/') : NULL;
    if (!inner || strcmp(inner, INTERNAL_DIRECTORY) != 0)
        give_up(is_call, DAMAGED, UNKNOWN_PLACE);
    *inner = '\0';
    PyStatus status = configure(argc, argv, directory);
    if (PyStatus_Exception(status))
        give_up(is_call, "the interpreter does not start", status.err_msg ? status.err_msg : "no reason given");
    /* A process that lives for milliseconds has no cyclic garbage worth looking for: 0.4 ms of an ADD. */
    PyGC_Disable();
    if (add_module(&process_module) < 0 || add_module(&setns_module) < 0 || PyImport_ImportFrozenModule("front_door") <= 0) {
        PyObject *raised = take_exception(), *text = raised ? PyObject_Str(raised) : NULL,
                 *bytes = text ? PyUnicode_EncodeFSDefault(text) : NULL;
        give_up(is_call, DAMAGED, bytes ? PyBytes_AS_STRING(bytes) : "no reason given");
    }
    give_up(is_call, DAMAGED, "it has come to no end");
}
