// What Amazon MSK does with a token of OAUTHBEARER: it is the URL of a signed request, in base64. Checked
// here against one key, by AWS's Signature Version 4.

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

public final class MskIam implements AuthenticateCallbackHandler {
  private static final String KEY = "AKIAWEIRTESTS";
  private static final String SECRET = "hush/hush+hush";

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> jaas) {}

  @Override
  public void close() {}

  @Override
  public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback validator)) {
        throw new UnsupportedCallbackException(callback);
      }
      try {
        validator.token(new Token(validator.tokenValue(), until(validator.tokenValue())));
      } catch (GeneralSecurityException | RuntimeException e) {
        validator.error("invalid_token", null, null);
      }
    }
  }

  /** Until when the token is good; throws if it is not. */
  private static Instant until(String token) throws GeneralSecurityException {
    URI uri = URI.create(text(Base64.getUrlDecoder().decode(token)));
    Map<String, String> query = new TreeMap<>();
    for (String pair : uri.getRawQuery().split("&")) {
      query.put(pair.split("=", 2)[0], pair.split("=", 2)[1]);
    }
    String signature = query.remove("X-Amz-Signature");
    query.remove("User-Agent");
    String[] scope = query.get("X-Amz-Credential").split("%2F", 2);
    String[] parts = scope[1].split("%2F");
    String date = query.get("X-Amz-Date");
    check("https".equals(uri.getScheme()) && "/".equals(uri.getPath()));
    check(uri.getHost().equals("kafka." + parts[1] + ".amazonaws.com"));
    check(query.get("Action").equals("kafka-cluster%3AConnect") && scope[0].equals(KEY));
    check(parts[2].equals("kafka-cluster") && date.startsWith(parts[0]));
    String request =
        "GET\n/\n"
            + query.entrySet().stream().map(Object::toString).collect(Collectors.joining("&"))
            + "\nhost:" + uri.getHost() + "\n\nhost\n" + hash("");
    String toSign =
        String.join("\n", "AWS4-HMAC-SHA256", date, String.join("/", parts), hash(request));
    byte[] key = ("AWS4" + SECRET).getBytes(StandardCharsets.UTF_8);
    for (String part : Arrays.asList(parts)) {
      key = hmac(key, part);
    }
    check(HexFormat.of().formatHex(hmac(key, toSign)).equals(signature));
    DateTimeFormatter form = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    long life = Long.parseLong(query.get("X-Amz-Expires"));
    Instant until = Instant.from(form.parse(date)).plusSeconds(life);
    check(life <= 900 && until.isAfter(Instant.now()));
    return until;
  }

  private static void check(boolean holds) {
    if (!holds) {
      throw new IllegalArgumentException();
    }
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static String hash(String text) throws GeneralSecurityException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private record Token(String value, Instant until) implements OAuthBearerToken {
    @Override
    public Set<String> scope() {
      return Set.of();
    }

    @Override
    public long lifetimeMs() {
      return until.toEpochMilli();
    }

    @Override
    public String principalName() {
      return KEY;
    }

    @Override
    public Long startTimeMs() {
      return null;
    }
  }
}
