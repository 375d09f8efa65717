// A service by com.sun.net.httpserver with a pool of threads; see ../README.md.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.concurrent.Executors;

public final class Server {
    private static String downstream = "";

    public static void main(String[] arguments) throws IOException {
        if (arguments.length > 2) {
            downstream = arguments[2];
        }
        HttpServer server = HttpServer.create(
                new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])), 256);
        server.createContext("/", Server::handle);
        server.setExecutor(Executors.newFixedThreadPool(32));
        server.start();
    }

    private static void handle(HttpExchange exchange) throws IOException {
        String[] parts = exchange.getRequestURI().getPath().split("/");
        int number = parts.length > 2 ? Integer.parseInt(parts[2]) : 0;
        long received = drain(exchange.getRequestBody());
        switch (parts[1]) {
            case "bytes" -> answer(exchange, 200, number);
            case "chunked" -> chunked(exchange, number);
            case "status" -> answer(exchange, number, 0);
            case "sleep" -> {
                sleep(number);
                text(exchange, "slept");
            }
            case "echo" -> text(exchange, Long.toString(received));
            case "call" -> {
                call(number);
                text(exchange, "done");
            }
            default -> answer(exchange, 404, 0);
        }
        exchange.close();
    }

    private static void sleep(int milliseconds) throws IOException {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            throw new IOException(error);
        }
    }

    private static void answer(HttpExchange exchange, int status, int size) throws IOException {
        if (size == 0 || exchange.getRequestMethod().equals("HEAD")) {
            exchange.sendResponseHeaders(status, -1);
            return;
        }
        byte[] body = new byte[size];
        Arrays.fill(body, (byte) 'x');
        exchange.sendResponseHeaders(status, size);
        exchange.getResponseBody().write(body);
    }

    private static void chunked(HttpExchange exchange, int size) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        OutputStream body = exchange.getResponseBody();
        for (int left = size; left > 0; left -= 4096) {
            body.write(new byte[Math.min(left, 4096)]);
            body.flush();
        }
    }

    private static void text(HttpExchange exchange, String text) throws IOException {
        exchange.sendResponseHeaders(200, text.length());
        exchange.getResponseBody().write(text.getBytes());
    }

    private static void call(int id) throws IOException {
        HttpURLConnection connection = (HttpURLConnection)
                URI.create(downstream + "/bytes/3?id=" + id).toURL().openConnection();
        drain(connection.getInputStream());
    }

    private static long drain(InputStream stream) throws IOException {
        try (stream) {
            return stream.transferTo(OutputStream.nullOutputStream());
        }
    }
}
