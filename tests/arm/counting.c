/*
 * A plugin of qemu-user's: counts the instructions of a program and prints the count so far at each system call 5000,
 * which no kernel has. The few declarations of the plugin interface that it needs are repeated here, since Debian's
 * package has no header; they are the same in every version of the interface.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TELL = 5000, NO_REGISTERS = 0, MOST_VERSIONS = 8 };

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
extern void qemu_plugin_outs(const char *text);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*look)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*run)(unsigned, void *),
                                                 int registers, void *data);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id id,
                                                 void (*call)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                              uint64_t));

/* The version of the interface: the oldest that both old and new emulators take is not the same. */
#ifndef INTERFACE
#define INTERFACE 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = INTERFACE;

static uint64_t instructions;

static void count(unsigned cpu, void *block_length)
{
    (void)cpu;
    instructions += (uintptr_t)block_length;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, count, NO_REGISTERS, (void *)qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == TELL)
        fprintf(stderr, "instructions %llu\n", (unsigned long long)instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
