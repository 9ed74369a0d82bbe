import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r4.model.CanonicalType;
import org.hl7.fhir.r4.model.ElementDefinition;
import org.hl7.fhir.r4.model.Enumerations.FHIRVersion;
import org.hl7.fhir.r4.model.Enumerations.PublicationStatus;
import org.hl7.fhir.r4.model.StructureDefinition.ExtensionContextType;
import org.hl7.fhir.r4.model.StructureDefinition.StructureDefinitionKind;
import org.hl7.fhir.r4.model.StructureDefinition.TypeDerivationRule;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.hl7.fhir.r4.model.UriType;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.Manager;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;

/**
 * Judges files with HAPI's instance validator and its R4 resources, without network.
 *
 * <p>Standard input: a line {@code level TAB path} per file. Level {@code base} is R4 alone; {@code profile} adds the
 * artefacts of the folders named as arguments. Standard output: a JSON object per line, with level, path and messages
 * (severity, id, location, text).
 */
public final class Judge {

  private static final FhirContext R4 = FhirContext.forR4();
  private static final Gson GSON = new Gson();
  private static final Set<String> FOREIGN = new TreeSet<>(); // extensions that only their url is known of
  private static final Pattern RELATIVE = Pattern.compile("([A-Z]\\w+)/([A-Za-z0-9.-]{1,64})");
  private static final String UNKNOWN_PROFILE = "Validation_VAL_Profile_Unknown"; // an error whatever is set
  private static final String CONTENT_OF_EXTENSION = "Extension_EXT_S"; // simple, or which extensions it has

  private Judge() {}

  public static void main(String[] folders) throws IOException {
    Map<String, FhirValidator> validators = Map.of("base", validator(), "profile", validator(folders));
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] asked = line.split("\t", 2);
      Map<String, Object> verdict = new LinkedHashMap<>();
      verdict.put("level", asked[0]);
      verdict.put("path", asked[1]);
      verdict.put("messages", messages(validators.get(asked[0]), Files.readString(Path.of(asked[1]))));
      out.println(GSON.toJson(verdict));
    }
  }

  private static List<Map<String, String>> messages(FhirValidator validator, String body) {
    List<Map<String, String>> messages = new ArrayList<>();
    try {
      for (SingleValidationMessage found : validator.validateWithResult(body).getMessages()) {
        String id = String.valueOf(found.getMessageId());
        String severity = id.equals(UNKNOWN_PROFILE) ? "information" : found.getSeverity().getCode();
        if (!id.startsWith(CONTENT_OF_EXTENSION) || FOREIGN.stream().noneMatch(found.getMessage()::contains)) {
          messages.add(message(severity, id, found.getLocationString(), found.getMessage()));
        }
      }
    } catch (RuntimeException fault) { // a body that it cannot read at all is a verdict too
      messages.add(message("fatal", fault.getClass().getSimpleName(), "", String.valueOf(fault.getMessage())));
    }
    return messages;
  }

  private static Map<String, String> message(String severity, String id, String location, String text) {
    Map<String, String> message = new LinkedHashMap<>();
    message.put("severity", severity);
    message.put("id", id);
    message.put("location", location == null ? "" : location);
    message.put("text", text);
    return message;
  }

  private static FhirValidator validator(String... folders) throws IOException {
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(R4);
    for (String folder : folders) {
      try (Stream<Path> files = Files.walk(Path.of(folder))) {
        for (Path file : files.filter(path -> path.toString().endsWith(".json")).sorted().toList()) {
          own.addResource(R4.newJsonParser().parseResource(Files.readString(file)));
        }
      }
    }
    addForeignExtensions(own);
    UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(R4);
    unknown.setNonExistentCodeSystemSeverity(IssueSeverity.INFORMATION);
    FhirInstanceValidator instance =
        new FhirInstanceValidator(
            new ValidationSupportChain(
                new DefaultProfileValidationSupport(R4),
                own,
                new CommonCodeSystemsTerminologyService(R4),
                new InMemoryTerminologyServerValidationSupport(R4),
                new SnapshotGeneratingValidationSupport(R4),
                unknown));
    instance.setValidatorPolicyAdvisor(new TypesOfReferences());
    instance.setValidatorResourceFetcher(new TargetsByType());
    instance.setAnyExtensionsAllowed(true);
    instance.setErrorForUnknownProfiles(false);
    instance.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    return R4.newValidator().registerValidatorModule(instance);
  }

  /** An extension that our profiles take from another guide is known by its url alone. */
  private static void addForeignExtensions(PrePopulatedValidationSupport own) {
    DefaultProfileValidationSupport standard = new DefaultProfileValidationSupport(R4);
    for (StructureDefinition profile : own.<StructureDefinition>fetchAllStructureDefinitions()) {
      profile.getDifferential().getElement().stream()
          .flatMap(element -> element.getType().stream())
          .filter(type -> type.getCode().equals("Extension"))
          .flatMap(type -> type.getProfile().stream())
          .map(CanonicalType::getValue)
          .filter(url -> own.fetchStructureDefinition(url) == null)
          .filter(url -> standard.fetchStructureDefinition(url) == null)
          .forEach(FOREIGN::add);
    }
    FOREIGN.forEach(url -> own.addStructureDefinition(extension(url)));
  }

  private static StructureDefinition extension(String url) {
    StructureDefinition definition = new StructureDefinition();
    definition.setUrl(url).setName("Foreign").setStatus(PublicationStatus.ACTIVE).setFhirVersion(FHIRVersion._4_0_1);
    definition.setKind(StructureDefinitionKind.COMPLEXTYPE).setAbstract(false).setType("Extension");
    definition.setBaseDefinition("http://hl7.org/fhir/StructureDefinition/Extension");
    definition.setDerivation(TypeDerivationRule.CONSTRAINT);
    definition.addContext().setType(ExtensionContextType.ELEMENT).setExpression("Element");
    definition.getDifferential().addElement().setPath("Extension").setId("Extension");
    ElementDefinition fixed = definition.getDifferential().addElement().setPath("Extension.url");
    fixed.setFixed(new UriType(url)).setId("Extension.url");
    return definition;
  }

  /** A relative reference shows its target's type; the target itself need not be there. */
  private static final class TypesOfReferences extends FhirDefaultPolicyAdvisor {
    @Override
    public ReferenceValidationPolicy policyForReference(
        IResourceValidator validator, Object context, String path, String url, ReferenceDestinationType kind) {
      return ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS;
    }
  }

  /** Beyond the file there is nothing: a reference {@code Type/id} is met by an empty resource of that type. */
  private static final class TargetsByType implements IValidatorResourceFetcher {
    @Override
    public Element fetch(IResourceValidator validator, Object context, String url) throws IOException {
      Matcher relative = RELATIVE.matcher(url);
      if (!relative.matches() || !R4.getResourceTypes().contains(relative.group(1))) {
        return null;
      }
      String body = GSON.toJson(Map.of("resourceType", relative.group(1), "id", relative.group(2)));
      InputStream stream = new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8));
      return Manager.parseSingle(validator.getContext(), stream, Manager.FhirFormat.JSON);
    }

    @Override
    public boolean resolveURL(
        IResourceValidator validator,
        Object context,
        String path,
        String url,
        String type,
        boolean canonical,
        List<org.hl7.fhir.r5.model.CanonicalType> targets) {
      return true;
    }

    @Override
    public byte[] fetchRaw(IResourceValidator validator, String url) {
      return new byte[0];
    }

    @Override
    public IValidatorResourceFetcher setLocale(Locale locale) {
      return this;
    }

    @Override
    public CanonicalResource fetchCanonicalResource(IResourceValidator validator, Object context, String url) {
      return null;
    }

    @Override
    public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
      return false;
    }

    @Override
    public Set<String> fetchCanonicalResourceVersions(IResourceValidator validator, Object context, String url) {
      return Set.of();
    }
  }
}
