/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns-conformance: what mechanical.py wraps around expressions, conditions and statements.
 *
 * Each of these evaluates its operands once, and asks for its number only where the answer makes a difference: what is
 * recorded as reached has really gone wrong there.
 */
#ifndef _NET_NETNS_MECHANICAL_H
#define _NET_NETNS_MECHANICAL_H

#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/types.h>
#include <net/net_namespace.h>
#include <net/netns_mutant.h>

bool netns_mech_asked(int number);

static inline bool netns_mech(int number)
{
	return unlikely(netns_mutant) && netns_mech_asked(number);
}

static inline struct net *netns_mech_init(int number, const struct net *net)
{
	return (struct net *)(net != &init_net && netns_mech(number) ? &init_net : net);
}

static inline struct net *netns_mech_other(int number, const struct net *net, const struct net *other)
{
	return (struct net *)(!IS_ERR_OR_NULL(other) && net != other && netns_mech(number) ? other : net);
}

static inline bool netns_mech_or(int number, bool value)
{
	return value || netns_mech(number);
}

static inline bool netns_mech_unless(int number, bool value)
{
	return value && !netns_mech(number);
}

static inline bool netns_mech_not(int number, bool value)
{
	return netns_mech(number) ? !value : value;
}

static inline bool netns_mech_last(int number, bool value, bool last)
{
	return value && !(last && netns_mech(number));
}

#endif
