/* Encodes the header lists that it reads with nghttp2's deflater.
 *
 * Input, one item a line: "limit N", "field NAME<tab>VALUE" with \xNN for octets that are not
 * printable ASCII, "end" for the end of a block. Needs libnghttp2-dev; link with -lnghttp2. */

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 64, LINE = 65536 };

static size_t octets(char *text) {
  char *to = text, *from = text;
  while (*from != '\0') {
    unsigned octet;
    if (from[0] == '\\' && sscanf(from, "\\x%2x", &octet) == 1) {
      *to++ = (char)octet;
      from += 4;
    } else {
      *to++ = *from++;
    }
  }
  return (size_t)(to - text);
}

int main(void) {
  static char line[LINE], shown[FIELDS][LINE];
  static unsigned char wire[4 * LINE];
  nghttp2_nv fields[FIELDS];
  size_t count = 0;
  nghttp2_hd_deflater *deflater;
  if (nghttp2_hd_deflate_new(&deflater, 65536) != 0)
    return 1;
  /* The library begins with the size that it is allowed; the protocol begins with 4096. */
  if (nghttp2_hd_deflate_change_table_size(deflater, 4096) != 0)
    return 1;
  printf("# nghttp2 %s\n", nghttp2_version(0)->version_str);
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "limit ", 6) == 0) {
      if (nghttp2_hd_deflate_change_table_size(deflater, (size_t)atoi(line + 6)) != 0)
        return 1;
    } else if (strncmp(line, "field ", 6) == 0 && count < FIELDS) {
      char *name = strdup(line + 6), *value = strchr(name, '\t');
      snprintf(shown[count], LINE, "%s", line + 6);
      *value++ = '\0';
      nghttp2_nv field = {(uint8_t *)name, (uint8_t *)value, octets(name), octets(value),
                          strcmp(name, "authorization") == 0 ? NGHTTP2_NV_FLAG_NO_INDEX
                                                             : NGHTTP2_NV_FLAG_NONE};
      fields[count++] = field;
    } else {
      ssize_t length = nghttp2_hd_deflate_hd(deflater, wire, sizeof wire, fields, count);
      if (length < 0)
        return 1;
      printf("block ");
      for (ssize_t at = 0; at < length; at++)
        printf("%02x", wire[at]);
      printf("\n");
      for (size_t field = 0; field < count; field++) {
        puts(shown[field]);
        free(fields[field].name);
      }
      count = 0;
    }
  }
  nghttp2_hd_deflate_del(deflater);
  return 0;
}
