// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/text.h"

#include <gtest/gtest.h>

namespace netns::reports {
namespace {

TEST(Printable, LeavesCleanTextAsItIs) { EXPECT_EQ(Printable("veth0\tup\n\"é\" 漢"), "veth0\tup\n\"é\" 漢"); }

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\nc\rd"), "a\\x1b[2Jb\nc\\x0dd");
  EXPECT_EQ(Printable(std::string("nul\0!", 5)), "nul\\x00!");
  EXPECT_EQ(Printable("\xe2\x80\xae"
                      "evil"),
            "\\u202eevil");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");
}

TEST(Printable, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(Printable("\xff\xc0\x80x"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx");
  EXPECT_EQ(Printable("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a lone surrogate
  EXPECT_EQ(Printable("\xef\xbf\xbf"), "\\uffff");                               // no character in XML
}

TEST(Excerpt, SaysWhatItLeavesOut) {
  EXPECT_EQ(Excerpt("one\ntwo\nthree", 2, 80), "one\ntwo\n[... 1 more lines in the stream]");
  EXPECT_EQ(Excerpt("abcdef", 5, 3), "abc [... 3 more bytes in the stream]");
  EXPECT_EQ(Excerpt("aé", 5, 2), "a [... 2 more bytes in the stream]");  // not within a character
}

TEST(Wrap, BreaksAtBlanks) { EXPECT_EQ(Wrap("aa bb  cc\ndd", 7, 2), "  aa bb\n  cc dd"); }

TEST(ShellWord, QuotesWhereAShellWouldReadMore) {
  EXPECT_EQ(ShellWord("--filter=Proc.File/Tcp"), "--filter=Proc.File/Tcp");
  EXPECT_EQ(ShellWord("a b;$c"), "'a b;$c'");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("Sock*"), "'Sock*'");
}

TEST(Duration, IsReadable) {
  EXPECT_EQ(Duration(3.2), "3 ms");
  EXPECT_EQ(Duration(1234), "1.2 s");
  EXPECT_EQ(Duration(250000), "4 min 10 s");
}

TEST(Sha256, IsSha256) { EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); }

}  // namespace
}  // namespace netns::reports
