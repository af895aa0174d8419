// Iceberg's own REST catalog, which its tests have, over SQLite and a folder of this machine.
// Arguments: port, database file, warehouse.

import java.io.File;
import java.util.Map;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.Files;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.InputFile;
import org.apache.iceberg.io.OutputFile;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

public final class RestCatalog {
  public static void main(String[] arguments) throws Exception {
    JdbcCatalog catalog = new JdbcCatalog(properties -> new Folder(), null, true);
    catalog.initialize(
        "rest",
        Map.of(
            CatalogProperties.URI, "jdbc:sqlite:" + arguments[1],
            CatalogProperties.WAREHOUSE_LOCATION, arguments[2],
            // SQLite has one writer.
            CatalogProperties.CLIENT_POOL_SIZE, "1"));
    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[0]));
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler();
    RESTCatalogServlet servlet = new RESTCatalogServlet(new RESTCatalogAdapter(catalog));
    context.addServlet(new ServletHolder(servlet), "/*");
    server.setHandler(context);
    server.start();
    server.join();
  }

  /** Files of this machine, without Hadoop. */
  public static final class Folder implements FileIO {
    @Override
    public InputFile newInputFile(String location) {
      return Files.localInput(path(location));
    }

    @Override
    public OutputFile newOutputFile(String location) {
      return Files.localOutput(path(location));
    }

    @Override
    public void deleteFile(String location) {
      path(location).delete();
    }

    private static File path(String location) {
      return new File(location.replaceFirst("^file:/*", "/"));
    }
  }
}
