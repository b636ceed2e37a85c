// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netns-conformance: which mechanical mutants a test gets to.
 *
 * With netns_mutant=-1 no mutant is wrong, and each place that would have been is noted. The parameter
 * netns_mutant_seen reads as the notes, one bit a mutant, and forgets them when it is written.
 */
#include <linux/bitmap.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>
#include <net/netns_mechanical.h>

#define FIRST 10001
#define COUNT 12288 /* as many as one page of sysfs can tell */

static DECLARE_BITMAP(seen, COUNT);

bool netns_mech_asked(int number)
{
	if (likely(netns_mutant != -1))
		return netns_mutant_is(number);
	if (number - FIRST < COUNT && !test_bit(number - FIRST, seen))
		set_bit(number - FIRST, seen);
	return false;
}

static int forget(const char *text, const struct kernel_param *parameter)
{
	bitmap_zero(seen, COUNT);
	return 0;
}

static int tell(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%*pb\n", COUNT, seen);
}

static const struct kernel_param_ops recorder = {
	.set = forget,
	.get = tell,
};
__module_param_call("", netns_mutant_seen, &recorder, NULL, 0644, -1, 0);
