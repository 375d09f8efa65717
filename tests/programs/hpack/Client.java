import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sends the header lists that it reads as JSON as requests, one after the other. */
final class Client {
    /** One field, or the end of a list. The lists' JSON has no other white space or brackets. */
    private static final Pattern ITEM =
            Pattern.compile("\\[\"((?:[^\"\\\\]|\\\\.)*)\", \"((?:[^\"\\\\]|\\\\.)*)\"\\](\\])?");

    public static void main(String[] args) throws Exception {
        String base = "http://127.0.0.1:" + args[0];
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
        // The first request asks for HTTP/2 and is no part of the sequence.
        send(client, HttpRequest.newBuilder(URI.create(base + "/upgrade")));
        Matcher items = ITEM.matcher(new String(System.in.readAllBytes()));
        HttpRequest.Builder request = HttpRequest.newBuilder();
        while (items.find()) {
            String name = items.group(1);
            String value = items.group(2);
            if (name.equals(":path")) {
                request.uri(URI.create(base + value));
            } else if (!name.startsWith(":") && !value.contains("\\u")) {
                request.header(name, value);
            }
            if (items.group(3) != null) {
                send(client, request);
                request = HttpRequest.newBuilder();
            }
        }
        System.exit(0);
    }

    private static void send(HttpClient client, HttpRequest.Builder request) throws Exception {
        client.send(request.build(), HttpResponse.BodyHandlers.discarding());
    }
}
